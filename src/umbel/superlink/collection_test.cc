#include "umbel/superlink/collection.h"

#include <gtest/gtest.h>

#include <deque>
#include <limits>

#include "umbel/base/rng.h"

namespace umbel::superlink {
namespace {

constexpr int64_t kElements =
    400'000;  // 1.6 MB: more than one chunk, more than what travels inline

// What the collection told the nodes, kept for the tests to act on.
class FakeLines final : public NodeLines {
 public:
  bool send(uint64_t node, const wire::HubFrame& frame) override {
    absl::MutexLock lock(&mutex);
    sent.emplace_back(node, frame);
    return true;
  }
  void forget(uint64_t instruction) override {
    absl::MutexLock lock(&mutex);
    forgotten.insert(instruction);
  }
  template <class Frame>
  std::vector<std::pair<uint64_t, Frame>> take() {
    absl::MutexLock lock(&mutex);
    std::vector<std::pair<uint64_t, Frame>> frames;
    std::erase_if(sent, [&](const auto& entry) {
      const Frame* frame = std::get_if<Frame>(&entry.second);
      if (frame) frames.emplace_back(entry.first, *frame);
      return frame != nullptr;
    });
    return frames;
  }
  absl::Mutex mutex;
  std::deque<std::pair<uint64_t, wire::HubFrame>> sent;
  std::set<uint64_t> forgotten;
};

ArrayRecord arrays_of(uint64_t seed, int64_t elements = kElements) {
  std::vector<float> values(static_cast<size_t>(elements));
  Rng rng(seed);
  for (float& value : values) value = static_cast<float>(rng.uniform() - 0.5);
  return {{"weight", Array::copy_of<float>(values, {elements})}};
}

class CollectionTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kNodes = 4;

  void begin(uint64_t memory, int64_t elements = kElements, uint64_t nodes = kNodes) {
    elements_ = elements;
    nodes_ = nodes;
    memory_ = std::make_unique<MemoryBudget>(memory);
    Collection::Options options;
    options.run.id = RunId(7);
    options.type = "train";
    options.round = 3;
    options.layout = std::make_shared<const Layout>(layout_of(arrays_of(0, elements)));
    options.weighs = weighs_;
    Collection::Hooks hooks;
    hooks.complete = [this] { ++completed_; };
    hooks.weigh = [this](uint64_t instruction, const MetricRecord&) {
      weigh_.push_back(instruction);
    };
    collection_ =
        std::make_shared<Collection>(std::move(options), lines_, *memory_, std::move(hooks));
    std::vector<Ask> asks;
    for (uint64_t client = 0; client != nodes; ++client) {
      asks.push_back({100 + client, client, 10 + client, MessageId(50 + client)});
    }
    collection_->start(std::move(asks));
  }

  Message reply_of(uint64_t client) const {
    Message message(Metadata{.run = RunId(7),
                             .id = MessageId(1),
                             .reply_to = MessageId(50 + client),
                             .source = NodeId(client),
                             .destination = kServerNode,
                             .type = "train",
                             .round = 3},
                    RecordDict{{"arrays", arrays_of(client + 1, elements_)},
                               {"metrics", MetricRecord{{"num-examples", 10 + int64_t(client)},
                                                        {"loss", 0.5 * double(client)}}}});
    return message;
  }
  wire::NodeResult result_of(uint64_t client) const {
    const Message message = reply_of(client);
    wire::NodeResult result{100 + client, wire::envelope_of(message)};
    if (!result.reply.blob.is_here()) {
      result.reply.blob.crc32 = wire::chunk_crcs(wire::blob_of(message.content()).bytes());
    }
    return result;
  }
  void answer(uint64_t client) { collection_->result(10 + client, result_of(client)); }
  // Sends bytes [from, to) of a reply's blob; what begin_upload or take said.
  Status upload(uint64_t client, uint64_t from, uint64_t to, size_t piece = 100'000) {
    const Buffer blob = wire::blob_of(reply_of(client).content());
    UMBEL_ASSIGN_OR_RETURN(const auto upload,
                           collection_->begin_upload(10 + client, 100 + client, from));
    for (uint64_t at = from; at < to;) {
      const uint64_t bytes = std::min<uint64_t>(piece, to - at);
      UMBEL_RETURN_IF_ERROR(upload->take(blob.bytes().subspan(at, bytes)));
      at += bytes;
    }
    return absl::OkStatus();
  }
  uint64_t size_of_blob() const { return wire::blob_of(reply_of(0).content()).size(); }

  struct Closed {
    aggregate::FoldResult result;
    std::vector<std::byte> mean;
  };
  Closed close() {
    Closed closed;
    auto result = collection_->close([&](std::span<const std::byte> piece) {
      closed.mean.insert(closed.mean.end(), piece.begin(), piece.end());
      return absl::OkStatus();
    });
    EXPECT_TRUE(result.ok()) << result.status();
    if (result.ok()) closed.result = *std::move(result);
    return closed;
  }
  // The mean of these clients' replies, by the fold that the simulation uses.
  std::vector<std::byte> mean_of(const std::vector<uint64_t>& clients) const {
    aggregate::Fold fold(std::make_shared<const ArrayRecord>(arrays_of(0, elements_)), {});
    for (const uint64_t client : clients) fold.add(reply_of(client));
    Serial serial;
    const auto result = fold.finish(serial);
    const Buffer blob = wire::blob_of(RecordDict{{"arrays", result.arrays}});
    return {blob.bytes().begin(), blob.bytes().end()};
  }

  FakeLines lines_;
  std::unique_ptr<MemoryBudget> memory_;
  std::shared_ptr<Collection> collection_;
  int completed_ = 0;
  std::vector<uint64_t> weigh_;
  bool weighs_ = false;
  int64_t elements_ = kElements;
  uint64_t nodes_ = kNodes;
};

TEST_F(CollectionTest, EveryNodeGetsItsMessage) {
  begin(0);
  const auto assigned = lines_.take<wire::Assign>();
  ASSERT_EQ(assigned.size(), kNodes);
  EXPECT_EQ(assigned[2].first, 12u);
  EXPECT_EQ(assigned[2].second.instruction, 102u);
  EXPECT_EQ(assigned[2].second.client, 2u);
  EXPECT_EQ(assigned[2].second.message.metadata.id, MessageId(52));
  EXPECT_EQ(assigned[2].second.message.metadata.destination, NodeId(2));
  EXPECT_EQ(assigned[2].second.message.metadata.round, 3u);
}

TEST_F(CollectionTest, SmallRepliesAreFoldedFromTheirFrames) {
  begin(0, 1000);
  for (const uint64_t client : {3, 1, 0, 2}) answer(client);
  EXPECT_EQ(completed_, 1);
  EXPECT_TRUE(lines_.take<wire::Upload>().empty());
  EXPECT_EQ(lines_.take<wire::Done>().size(), kNodes);
  const Closed closed = close();
  EXPECT_EQ(closed.result.replies, kNodes);
  EXPECT_EQ(closed.mean, mean_of({0, 1, 2, 3}));
  EXPECT_EQ(collection_->decision().counted, (std::vector<uint64_t>{0, 1, 2, 3}));
}

// Kept until whole, or folded as it comes: the same bytes.
TEST_F(CollectionTest, LargeRepliesGiveTheSameBytesWithAndWithoutMemoryForThem) {
  const std::vector<std::byte> expected = mean_of({0, 1, 2, 3});
  for (const uint64_t memory : {uint64_t{0}, uint64_t{2'000'000}, uint64_t{100'000'000}}) {
    begin(memory);
    for (uint64_t client = 0; client != kNodes; ++client) answer(client);
    ASSERT_EQ(lines_.take<wire::Upload>().size(), kNodes);
    // All at the same time, in pieces that fit nothing.
    const uint64_t size = size_of_blob();
    for (uint64_t client = 0; client != kNodes; ++client) {
      ASSERT_TRUE(upload(client, 0, size / 3, 33'333).ok());
    }
    for (uint64_t client = 0; client != kNodes; ++client) {
      ASSERT_TRUE(upload(client, size / 3, size, 77'777).ok());
    }
    const Closed closed = close();
    EXPECT_EQ(closed.result.replies, kNodes);
    EXPECT_EQ(closed.result.reply_bytes, 4 * reply_of(0).content().byte_size());
    EXPECT_EQ(closed.mean, expected) << memory;
    EXPECT_EQ(memory_->used(), 0u);
  }
  EXPECT_EQ(completed_, 3);
}

TEST_F(CollectionTest, AnUploadGoesOnWhereItWasCut) {
  begin(0);
  for (uint64_t client = 0; client != kNodes; ++client) answer(client);
  const uint64_t size = size_of_blob();
  ASSERT_TRUE(upload(1, 0, 1'234'567).ok());
  EXPECT_EQ(*collection_->offset(11, 101), 1'234'567u);
  EXPECT_EQ(upload(1, 0, size).code(), absl::StatusCode::kFailedPrecondition);
  // The session was cut as well: the node offers its reply again.
  collection_->node_joined(11, {101});
  lines_.take<wire::Upload>();
  answer(1);
  const auto wanted = lines_.take<wire::Upload>();
  ASSERT_EQ(wanted.size(), 1u);
  EXPECT_EQ(wanted[0].second.offset, 1'234'567u);
  ASSERT_TRUE(upload(1, 1'234'567, size).ok());
  for (const uint64_t client : {0, 2, 3}) ASSERT_TRUE(upload(client, 0, size).ok());
  EXPECT_EQ(close().mean, mean_of({0, 1, 2, 3}));
}

// A node that goes half-way leaves no trace of its bytes: the others send theirs again.
TEST_F(CollectionTest, AReplyThatEndsHalfWayIsTakenOutByFetchingTheOthersAgain) {
  begin(0);
  for (uint64_t client = 0; client != kNodes; ++client) answer(client);
  lines_.take<wire::Upload>();
  const uint64_t size = size_of_blob();
  ASSERT_TRUE(upload(0, 0, size).ok());
  ASSERT_TRUE(upload(1, 0, size / 2).ok());
  ASSERT_TRUE(upload(2, 0, size / 4).ok());
  collection_->node_gone(11, "unplugged");
  const auto again = lines_.take<wire::Upload>();
  ASSERT_EQ(again.size(), 3u);  // 0 had counted, 2 and 3 were under way
  for (const auto& [node, frame] : again) {
    EXPECT_EQ(frame.offset, 0u);
    ASSERT_TRUE(upload(frame.instruction - 100, 0, size).ok());
  }
  EXPECT_EQ(completed_, 1);
  const Closed closed = close();
  EXPECT_EQ(closed.result.replies, 3u);
  EXPECT_EQ(closed.result.failures.at(MessageError::Code::kDeadline), 1u);
  EXPECT_EQ(closed.mean, mean_of({0, 2, 3}));
}

TEST_F(CollectionTest, BytesThatWereChangedOnTheWayAreRefused) {
  begin(0);
  for (uint64_t client = 0; client != kNodes; ++client) answer(client);
  const uint64_t size = size_of_blob();
  ASSERT_TRUE(upload(0, 0, size).ok());
  Buffer blob = wire::blob_of(reply_of(3).content());
  blob.mutable_bytes()[1'200'000] ^= std::byte{1};
  auto begun = collection_->begin_upload(13, 103, 0);
  ASSERT_TRUE(begun.ok());
  EXPECT_EQ((*begun)->take(blob.bytes()).code(), absl::StatusCode::kDataLoss);
  for (const uint64_t client : {0, 1, 2}) ASSERT_TRUE(upload(client, 0, size).ok()) << client;
  const Closed closed = close();
  EXPECT_EQ(closed.mean, mean_of({0, 1, 2}));
  EXPECT_EQ(closed.result.failures.at(MessageError::Code::kBadReply), 1u);
}

TEST_F(CollectionTest, ANodeThatLostItsReplyIsAskedAgain) {
  begin(0);
  for (uint64_t client = 0; client != kNodes; ++client) answer(client);
  const uint64_t size = size_of_blob();
  ASSERT_TRUE(upload(0, 0, size).ok());
  ASSERT_TRUE(upload(1, 0, size / 2).ok());
  lines_.take<wire::Assign>();
  collection_->node_joined(11, {});  // it started anew
  const auto assigned = lines_.take<wire::Assign>();
  ASSERT_EQ(assigned.size(), 1u);
  EXPECT_EQ(assigned[0].second.instruction, 101u);
  answer(1);
  for (const uint64_t client : {0, 1, 2, 3}) ASSERT_TRUE(upload(client, 0, size).ok()) << client;
  EXPECT_EQ(close().mean, mean_of({0, 1, 2, 3}));
}

TEST_F(CollectionTest, OnlyWhoWasAskedCanReplyAndOnlyOnce) {
  begin(0, 1000);
  collection_->result(12, result_of(1));                               // another node's instruction
  collection_->result(10, wire::NodeResult{999, result_of(0).reply});  // none at all
  EXPECT_EQ(collection_->begin_upload(12, 101, 0).status().code(), absl::StatusCode::kNotFound);
  answer(0);
  answer(0);
  wire::NodeResult other = result_of(1);
  other.reply.metadata.reply_to = MessageId(50);  // to another's message
  collection_->result(11, other);
  wire::NodeResult nan = result_of(2);
  Buffer bytes = nan.reply.blob.here.clone();
  const float value = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bytes.mutable_bytes().data() + 40, &value, sizeof value);
  nan.reply.blob.here = bytes;
  collection_->result(12, nan);
  answer(3);
  EXPECT_EQ(completed_, 1);
  const Closed closed = close();
  EXPECT_EQ(closed.result.replies, 2u);
  EXPECT_EQ(closed.result.failures.at(MessageError::Code::kBadReply), 2u);
  EXPECT_EQ(closed.mean, mean_of({0, 3}));
}

TEST_F(CollectionTest, AnotherShapeIsRefusedBeforeItsBytes) {
  begin(0);
  elements_ = kElements + 1;
  answer(2);
  EXPECT_TRUE(lines_.take<wire::Upload>().empty());
  const auto done = lines_.take<wire::Done>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_FALSE(done[0].second.counted);
  EXPECT_NE(done[0].second.reason.find("400001"), std::string::npos) << done[0].second.reason;
}

TEST_F(CollectionTest, AfterTheDeadlineNothingMoreCounts) {
  begin(0, 1000);
  answer(0);
  collection_->expire("no reply within 3 s");
  answer(1);
  EXPECT_EQ(completed_, 1);
  EXPECT_EQ(lines_.take<wire::Cancel>().size(), 3u);
  const Closed closed = close();
  EXPECT_EQ(closed.result.replies, 1u);
  EXPECT_EQ(closed.result.failures.at(MessageError::Code::kDeadline), 3u);
  EXPECT_EQ(collection_->close({}).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(CollectionTest, WeightsOfTheServerAppDecide) {
  weighs_ = true;
  begin(0, 1000);
  for (uint64_t client = 0; client != kNodes; ++client) answer(client);
  ASSERT_EQ(weigh_.size(), kNodes);
  collection_->weighed(100, 2.0);
  collection_->weighed(101, absl::InvalidArgumentError("no such client"));
  collection_->weighed(102, 2.0);
  collection_->weighed(102, 9.0);
  collection_->weighed(103, 0.0);
  EXPECT_EQ(completed_, 1);
  const Closed closed = close();
  EXPECT_EQ(closed.result.replies, 2u);
  EXPECT_EQ(closed.result.weight, 4.0);
}

// Any schedule of cuts, lost replies and nodes that go gives the fold of those that counted.
TEST_F(CollectionTest, AnyScheduleFoldsExactlyTheRepliesThatCount) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const auto below = [&](uint64_t bound) { return rng.below(bound); };
    completed_ = 0;
    lines_.sent.clear();
    begin(below(3) * 1'700'000, 300'000);
    const uint64_t size = size_of_blob();
    std::set<uint64_t> gone;
    std::set<uint64_t> has_reply;
    for (int step = 0; completed_ == 0 && step < 500; ++step) {
      const uint64_t client = below(kNodes);
      if (gone.contains(client)) continue;
      const uint64_t what = below(20);
      if (what == 0 && gone.size() < 2) {
        gone.insert(client);
        collection_->node_gone(10 + client, "unplugged");
      } else if (what == 1) {
        has_reply.erase(client);
        collection_->node_joined(10 + client, {});
      } else if (what == 2) {
        collection_->node_joined(10 + client, has_reply.contains(client) ? std::set{100 + client}
                                                                         : std::set<uint64_t>{});
      } else if (what < 8) {
        has_reply.insert(client);
        answer(client);
      } else if (has_reply.contains(client)) {
        const auto offset = collection_->offset(10 + client, 100 + client);
        if (!offset.ok() || *offset >= size) continue;
        const uint64_t to = below(3) == 0 ? size : std::min(size, *offset + 1 + below(size));
        upload(client, *offset, to, 1 + below(400'000)).IgnoreError();
      }
    }
    ASSERT_GE(completed_, 1);
    const Closed closed = close();
    EXPECT_EQ(closed.result.replies + closed.result.failure_count(), kNodes);
    const std::vector<uint64_t> counted = collection_->decision().counted;
    EXPECT_EQ(counted.size(), closed.result.replies);
    EXPECT_EQ(closed.mean, mean_of(counted));
    EXPECT_EQ(memory_->used(), 0u);
  }
}

TEST(ForwardingCollection, RepliesAreHandedOnOneByOne) {
  FakeLines lines;
  MemoryBudget memory(2'000'000);
  std::vector<wire::Envelope> arrived;
  std::vector<uint64_t> blobs;
  Collection::Options options;
  options.run.id = RunId(7);
  options.folds = false;
  Collection::Hooks hooks;
  hooks.arrived = [&](const wire::Envelope& reply, SharedBlob blob) {
    arrived.push_back(reply);
    blobs.push_back(blob.size());
  };
  auto collection = std::make_shared<Collection>(options, lines, memory, hooks);
  for (uint64_t client = 0; client != 3; ++client) {
    const Message message(Metadata{.run = RunId(7),
                                   .id = MessageId(50 + client),
                                   .destination = NodeId(client),
                                   .type = "query"},
                          RecordDict{{"config", ConfigRecord{{"x", 1}}}});
    collection->add({100 + client, client, 10 + client, MessageId(50 + client)},
                    wire::envelope_of(message));
  }
  EXPECT_EQ(lines.take<wire::Assign>()[1].second.message.metadata.type, "query");
  const auto reply = [](uint64_t client, int64_t elements) {
    return Message(
        Metadata{.run = RunId(7), .reply_to = MessageId(50 + client), .source = NodeId(client)},
        RecordDict{{"arrays", arrays_of(client, elements)}});
  };
  collection->result(10, {100, wire::envelope_of(reply(0, 10))});
  const Message large = reply(1, kElements);
  wire::NodeResult result{101, wire::envelope_of(large)};
  const Buffer blob = wire::blob_of(large.content());
  result.reply.blob.crc32 = wire::chunk_crcs(blob.bytes());
  collection->result(11, result);
  ASSERT_EQ(lines.take<wire::Upload>().size(), 1u);
  auto upload = collection->begin_upload(11, 101, 0);
  ASSERT_TRUE(upload.ok());
  ASSERT_TRUE((*upload)->take(blob.bytes()).ok());
  collection->expire("too late");
  ASSERT_EQ(arrived.size(), 3u);
  EXPECT_EQ(blobs[1], blob.size());
  EXPECT_EQ(arrived[2].error->code, MessageError::Code::kDeadline);
  EXPECT_EQ(arrived[2].metadata.reply_to, MessageId(52));
  EXPECT_TRUE(collection->is_idle());
  EXPECT_EQ(memory.used(), 0u);
}

}  // namespace
}  // namespace umbel::superlink
