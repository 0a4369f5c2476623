#include "umbel/runner/hub_grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "umbel/app/run_rounds.h"
#include "umbel/app/silent_runtime.h"
#include "umbel/runner/attach.h"
#include "umbel/strategy/fed_avg.h"
#include "umbel/wire/runtime.h"

namespace umbel::runner {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

// The SuperLink's end, driven by a test's script on a thread of its own.
class Hub {
 public:
  explicit Hub(Channel channel) : channel_(std::move(channel)) {}

  template <class T>
  T expect() {
    Channel::Frame frame = or_throw(channel_.receive(wire::kFrameBytesMax));
    wire::AppFrame parsed = or_throw(wire::parse_app_frame(std::as_bytes(std::span(frame.bytes))));
    memory_ = std::move(frame.blob);
    return std::get<T>(std::move(parsed));
  }
  // The content of the frame that came last.
  RecordDict content(const wire::ContentHead& head, const wire::BlobRef& blob) {
    return or_throw(wire::assemble(head, or_throw(attached(blob, std::move(memory_)))));
  }
  void send(const wire::DaemonFrame& frame, const SharedBlob* blob = nullptr) {
    or_throw(channel_.send(wire::format(frame), blob));
  }
  // Sends the mean of a fold.
  void finish(uint64_t call, const ArrayRecord& mean, aggregate::FoldResult result) {
    RecordDict content;
    content.set("arrays", mean);
    wire::FoldDone done{.call = call, .arrays = layout_of(mean), .result = std::move(result)};
    done.blob_size = blob_size(done.arrays);
    const auto blob = or_throw(shared_blob_of(content, wire::BlobRef{.size = done.blob_size}));
    send(done, blob ? &*blob : nullptr);
  }
  void close() { channel_.shut_down(); }

 private:
  Channel channel_;
  Descriptor memory_;
};

ArrayRecord model(float x, size_t n = 2) {
  return {{"w", Array::copy_of<float>(std::vector<float>(n, x), {static_cast<int64_t>(n)})},
          {"b", Array::of<float>({x})}};
}

class HubGridTest : public ::testing::Test {
 protected:
  HubGridTest() : HubGridTest(or_throw(Channel::make_pair())) {}
  explicit HubGridTest(std::pair<Channel, Descriptor> ends)
      : hub(std::move(ends.first)), channel(std::move(ends.second)) {
    run.runtime = &runtime;
    grid = std::make_unique<HubGrid>(std::move(channel), run);
  }
  static Broadcast broadcast(ArrayRecord arrays, std::vector<uint64_t> nodes = {0, 2}) {
    return {"train", 3, std::move(nodes), make_content(std::move(arrays), {{"round", 3}})};
  }
  static AggregationPlan plan(FoldOptions options = {}) {
    return {std::make_shared<ArrayRecord>(model(0)), std::move(options)};
  }
  template <class Call>
  static Status status_of(const Call& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.status();
    }
    return absl::OkStatus();
  }

  Hub hub;
  Channel channel;
  SilentRuntime runtime;
  umbel::Run run{.id = RunId(7), .seed = 1, .nodes = 4};
  std::unique_ptr<HubGrid> grid;
};

TEST_F(HubGridTest, AFoldIsAskedForAndItsMeanComesBack) {
  std::jthread script([this] {
    const auto call = hub.expect<wire::FoldCall>();
    EXPECT_EQ(call.type, "train");
    EXPECT_EQ(call.round, 3u);
    EXPECT_EQ(call.nodes, (std::vector<uint64_t>{0, 2}));
    EXPECT_EQ(call.first_message, 1u);
    EXPECT_EQ(call.layout, layout_of(model(0)));
    EXPECT_EQ(call.weight_key, "num-examples");
    EXPECT_FALSE(call.weighs);
    EXPECT_EQ(call.deadline_seconds, 5.0);
    EXPECT_EQ(call.wrap_up_seconds, 1.0);
    EXPECT_EQ(hub.content(call.content, call.blob), *broadcast(model(1)).content);
    hub.finish(call.call, model(9),
               {.metrics = {{"loss", 0.25}},
                .replies = 1,
                .weight = 10,
                .reply_bytes = 33,
                .failures = {{MessageError::Code::kDeadline, 1}},
                .failure_samples = {{NodeId(2), {MessageError::Code::kDeadline, "late"}}}});
  });
  EXPECT_FALSE(grid->sent());
  Broadcast message = broadcast(model(1));
  message.wrap_up = std::chrono::seconds(1);
  const auto result = grid->send_and_fold(message, plan(), std::chrono::seconds(5));
  EXPECT_TRUE(grid->sent());
  EXPECT_EQ(result.arrays, model(9));
  EXPECT_EQ(result.metrics.real("loss"), 0.25);
  EXPECT_EQ(result.replies, 1u);
  EXPECT_EQ(result.weight, 10);
  EXPECT_EQ(result.reply_bytes, 33u);
  EXPECT_EQ(result.failures.at(MessageError::Code::kDeadline), 1u);
  EXPECT_EQ(result.failure_samples.at(0).error.reason, "late");
}

TEST_F(HubGridTest, ALargeModelGoesBothWaysInSharedMemory) {
  const ArrayRecord large = model(2, 300'000);
  std::jthread script([&] {
    const auto call = hub.expect<wire::FoldCall>();
    EXPECT_FALSE(call.blob.is_here());
    EXPECT_EQ(hub.content(call.content, call.blob), *broadcast(large).content);
    hub.finish(call.call, large, {.replies = 2});
  });
  const AggregationPlan wanted{std::make_shared<ArrayRecord>(large), {}};
  EXPECT_EQ(grid->send_and_fold(broadcast(large), wanted, {}).arrays, large);
}

TEST_F(HubGridTest, MessageIdsAreGivenOutAsInASimulation) {
  std::jthread script([this] {
    auto call = hub.expect<wire::FoldCall>();
    EXPECT_EQ(call.first_message, 2u);
    hub.finish(call.call, model(1), {.replies = 2});
    call = hub.expect<wire::FoldCall>();
    EXPECT_EQ(call.first_message, 4u);
    hub.finish(call.call, model(1), {.replies = 2});
  });
  EXPECT_EQ(grid->make_message("query", NodeId(1), {}).metadata().id, MessageId(1));
  (void)grid->send_and_fold(broadcast(model(1)), plan(), {});
  (void)grid->send_and_fold(broadcast(model(1)), plan(), {});
  EXPECT_EQ(grid->make_message("query", NodeId(1), {}).metadata().id, MessageId(6));
}

TEST_F(HubGridTest, RepliesAreWeighedByTheAppsFunctionOnTheAppsThread) {
  std::jthread script([this] {
    const auto call = hub.expect<wire::FoldCall>();
    EXPECT_TRUE(call.weighs);
    hub.send(wire::Weigh{call.call, 5, {{"n", 3}}});
    const auto weight = hub.expect<wire::Weight>();
    EXPECT_EQ(weight.reply, 5u);
    EXPECT_EQ(weight.weight, 6);
    EXPECT_EQ(weight.error, "");
    hub.send(wire::Weigh{call.call, 6, {{"m", 3}}});
    const auto refused = hub.expect<wire::Weight>();
    EXPECT_EQ(refused.reply, 6u);
    EXPECT_THAT(refused.error, HasSubstr("no entry \"n\""));
    hub.send(wire::Weigh{call.call + 1, 7, {{"n", 3}}});  // nobody's: not answered
    hub.finish(call.call, model(1), {.replies = 1});
  });
  const auto here = std::this_thread::get_id();
  FoldOptions options;
  options.weight = [here](const MetricRecord& metrics) {
    EXPECT_EQ(std::this_thread::get_id(), here);
    return 2 * metrics.real("n");
  };
  EXPECT_EQ(grid->send_and_fold(broadcast(model(1)), plan(options), {}).replies, 1u);
}

TEST_F(HubGridTest, PushedMessagesAreAnsweredInAnyOrder) {
  std::jthread script([this] {
    std::vector<wire::Push> pushes;
    for (int i = 0; i != 2; ++i) {
      pushes.push_back(hub.expect<wire::Push>());
      EXPECT_EQ(hub.content(pushes[i].message.head, pushes[i].message.blob).size(), 1u);
    }
    for (int i = 1; i >= 0; --i) {
      Metadata metadata = pushes[i].message.metadata;
      const Message asked(metadata, RecordDict());
      const Message reply = asked.reply(MetricRecord{{"client", metadata.destination.value()}});
      hub.send(wire::Arrived{wire::envelope_of(reply)});
    }
    EXPECT_EQ(hub.expect<wire::Forget>().messages, (std::vector<uint64_t>{1}));
  });
  RecordDict content;
  content.set("model", model(1, 100'000));
  std::vector<Message> messages = {grid->make_message("query", NodeId(3), content),
                                   grid->make_message("query", NodeId(0), content)};
  const auto ids = grid->push(messages);
  const auto replies = grid->pull(ids, {});
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_EQ(replies[0].metrics().integer("client"), 3);
  EXPECT_EQ(replies[1].metrics().integer("client"), 0);
  EXPECT_EQ(replies[0].metadata().reply_to, ids[0]);
  grid->forget(std::span(ids).first(1));
}

TEST_F(HubGridTest, WhatNoGridTakesIsRefusedBeforeAnythingIsSent) {
  const auto fold = [&](Broadcast message, Deadline deadline = {}) {
    const Status status = status_of([&] { (void)grid->send_and_fold(message, plan(), deadline); });
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return message_of(status);
  };
  EXPECT_THAT(fold(broadcast(model(1), {4})), HasSubstr("there is no client 4"));
  EXPECT_THAT(fold(broadcast(model(1), {1, 1})), HasSubstr("client 1 is asked twice"));
  EXPECT_THAT(fold(broadcast(model(1)), std::chrono::seconds(0)), HasSubstr("deadline is 0 s"));
  Broadcast hasty = broadcast(model(1));
  hasty.wrap_up = std::chrono::seconds(2);
  EXPECT_THAT(fold(hasty), HasSubstr("wrap_up is 2 s"));
  EXPECT_THAT(fold(hasty, std::chrono::seconds(2)), HasSubstr("below the deadline (2 s)"));
  EXPECT_THAT(fold(broadcast({{"\xff", Array::of<float>({1})}})), HasSubstr("not UTF-8"));
  Broadcast wordy = broadcast(model(1));
  wordy.content = make_content(model(1), {{"text", std::string(wire::kFrameBytesMax, 'x')}});
  EXPECT_THAT(fold(wordy), HasSubstr("beside its arrays, the limit is"));
  EXPECT_FALSE(status_of([&] { (void)grid->make_message("query", NodeId(4), {}); }).ok());
}

TEST_F(HubGridTest, AMeanOfAnotherLayoutIsRefused) {
  std::jthread script([this] {
    const auto call = hub.expect<wire::FoldCall>();
    hub.finish(call.call, {{"w", Array::of<float>({1})}}, {.replies = 1});
  });
  const Status status =
      status_of([&] { (void)grid->send_and_fold(broadcast(model(1)), plan(), {}); });
  EXPECT_THAT(message_of(status), HasSubstr("the SuperLink's mean: array \"w\""));
}

TEST_F(HubGridTest, StopEndsTheCallUnderWayAndAllLaterOnes) {
  std::jthread script([this] {
    (void)hub.expect<wire::FoldCall>();
    hub.send(wire::Stop{});
  });
  const auto fold = [&] { (void)grid->send_and_fold(broadcast(model(1)), plan(), {}); };
  EXPECT_EQ(status_of(fold).code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(grid->stop_requested());
  EXPECT_EQ(status_of(fold).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(status_of([&] { (void)grid->pull({}, {}); }).code(), absl::StatusCode::kCancelled);
}

TEST_F(HubGridTest, AStopFromHereEndsAPullThatWaits) {
  std::vector<Message> messages = {grid->make_message("query", NodeId(1), {})};
  const auto ids = grid->push(messages);
  std::jthread stopper([this] {
    (void)hub.expect<wire::Push>();
    grid->request_stop();
  });
  EXPECT_EQ(status_of([&] { (void)grid->pull(ids, {}); }).code(), absl::StatusCode::kCancelled);
}

TEST_F(HubGridTest, ASuperLinkThatIsGoneIsTold) {
  std::jthread script([this] {
    (void)hub.expect<wire::FoldCall>();
    hub.close();
  });
  const Status status =
      status_of([&] { (void)grid->send_and_fold(broadcast(model(1)), plan(), {}); });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(message_of(status), HasSubstr("the SuperLink"));
}

TEST_F(HubGridTest, ADeadlineEndsAPullWithWhatIsThere) {
  std::vector<Message> messages = {grid->make_message("query", NodeId(1), {})};
  const auto ids = grid->push(messages);
  EXPECT_TRUE(grid->pull(ids, std::chrono::milliseconds(1)).empty());
}

TEST_F(HubGridTest, RoundsRunOverIt) {
  std::jthread script([this] {
    for (int round = 1; round <= 3; ++round) {
      const auto call = hub.expect<wire::FoldCall>();
      EXPECT_EQ(call.round, static_cast<uint64_t>(round));
      hub.finish(call.call, model(static_cast<float>(round)), {.replies = call.nodes.size()});
    }
  });
  const Context context(run);
  const RoundsResult result = run_rounds(*grid, context, fed_avg(), model(0), {.rounds = 3});
  EXPECT_EQ(result.arrays, model(3));
  EXPECT_EQ(result.rounds, 3u);
}

}  // namespace
}  // namespace umbel::runner
