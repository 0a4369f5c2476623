#include "umbel/aggregate/stream_fold.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "umbel/aggregate/fold_replies_test.h"
#include "umbel/base/large_blocks.h"

namespace umbel::aggregate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Code = MessageError::Code;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
const MessageError kLost{Code::kDeadline, "the connection was lost"};

std::shared_ptr<const Layout> layout_like(const Reply& reply) {
  return std::make_shared<const Layout>(layout_of(reply.arrays));
}

// Streams a reply in pieces of random sizes, some of them at odd addresses; its status at the end.
Status stream(StreamFold& fold, StreamFold::Streamed& reply, const Reply& what, Rng& rng) {
  const std::vector<std::byte> blob = blob_of(what.arrays, rng);
  for (size_t at = 0; at != blob.size();) {
    const size_t most = rng.below(4) ? 20000 : 70;
    const size_t count = std::min(blob.size() - at, 1 + rng.below(most));
    UMBEL_RETURN_IF_ERROR(fold.add(reply, std::span(blob).subspan(at, count)));
    at += count;
  }
  return fold.finish(reply);
}

Result<std::shared_ptr<StreamFold::Streamed>> begin(StreamFold& fold, const Reply& reply) {
  return fold.begin(reply.node, layout_of(reply.arrays), reply.metrics,
                    reply.message().content().byte_size());
}

// Adds a reply by streaming it, the way the hub does: what is refused is counted as failed.
// False if the sums hold a part of a reply.
bool add_streamed(StreamFold& fold, const Reply& reply, Rng& rng) {
  const auto streamed = begin(fold, reply);
  if (!streamed.ok()) {
    fold.fail(reply.node, {Code::kBadReply, message_of(streamed.status())});
    return true;
  }
  const Status status = stream(fold, **streamed, reply, rng);
  return status.ok() || !fold.drop(**streamed, {Code::kBadReply, message_of(status)});
}

// The result with the arrays that were handed out, and a check of how they were.
FoldResult close(StreamFold& fold, const Layout& layout) {
  std::vector<std::byte> blob;
  Result<FoldResult> result = fold.close([&](std::span<const std::byte> piece) {
    EXPECT_FALSE(piece.empty());
    EXPECT_LE(piece.size(), size_t{1} << 20);
    blob.insert(blob.end(), piece.begin(), piece.end());
    return absl::OkStatus();
  });
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->arrays.empty());
  EXPECT_EQ(blob.size(), result->replies ? blob_size(layout) : 0);
  if (result->replies) result->arrays = arrays_of(layout, blob);
  return *std::move(result);
}

FoldResult folded(const std::vector<Reply>& replies, const FoldOptions& options = {}) {
  Serial serial;
  Fold fold(layout_like(replies[0]), options);
  for (const Reply& reply : replies) fold.add(reply.message());
  return fold.finish(serial);
}

RC_GTEST_PROP(StreamFoldTest, GivesWhatFoldGivesForAnyMixture, (uint64_t seed)) {
  Rng rng(seed);
  const Layout layout = random_layout(rng);
  std::vector<Reply> replies = random_replies(rng, layout, 1 + rng.below(7));
  const FoldResult expected = folded(replies);
  StreamFold fold(std::make_shared<const Layout>(layout), {});
  rng.shuffle(std::span(replies));
  for (const Reply& reply : replies) {
    if (rng.below(3)) {
      RC_ASSERT(add_streamed(fold, reply, rng));
    } else {
      RC_ASSERT(fold.add(reply.message()));
    }
  }
  RC_ASSERT(fold.replies() == replies.size());
  RC_ASSERT(same(close(fold, layout), expected));
}

TEST(StreamFoldTest, GivesTheSameFromManyThreadsAtOnce) {
  Rng rng(1);
  const Layout layout{{"w", DType::kFloat32, {40, 1000}}, {"n", DType::kInt64, {5000}}};
  const std::vector<Reply> replies = random_replies(rng, layout, 16);
  const FoldResult expected = folded(replies);
  for (size_t threads = 2; threads <= 8; threads *= 2) {
    StreamFold fold(std::make_shared<const Layout>(layout), {});
    std::vector<std::jthread> senders;
    for (size_t t = 0; t != threads; ++t) {
      senders.emplace_back([&, t] {
        Rng own(t);
        for (size_t k = t; k < replies.size(); k += threads) {
          if (k % 5 == 4) {
            EXPECT_TRUE(fold.add(replies[k].message()));
          } else {
            EXPECT_TRUE(add_streamed(fold, replies[k], own));
          }
          EXPECT_LE(fold.replies(), replies.size());
        }
      });
    }
    senders.clear();
    ASSERT_TRUE(same(close(fold, layout), expected)) << threads << " threads";
  }
}

TEST(StreamFoldTest, HoldsForAHundredThousandTinyArrays) {
  Rng rng(2);
  Layout layout;
  for (int i = 0; i != 100'000; ++i) {
    layout.push_back({fmt::format("a{}", i), i % 3 ? DType::kFloat32 : DType::kInt8, {i % 4}});
  }
  const std::vector<Reply> replies = random_replies(rng, layout, 2);
  StreamFold fold(std::make_shared<const Layout>(layout), {});
  for (const Reply& reply : replies) ASSERT_TRUE(add_streamed(fold, reply, rng));
  EXPECT_TRUE(same(close(fold, layout), folded(replies)));
}

TEST(StreamFoldTest, RestartForgetsStreamedRepliesAlone) {
  Rng rng(3);
  const Layout layout{{"w", DType::kFloat32, {5000}}, {"h", DType::kBfloat16, {7, 100}}};
  const std::vector<Reply> replies = random_replies(rng, layout, 6);
  StreamFold fold(std::make_shared<const Layout>(layout), {});
  ASSERT_TRUE(fold.add(replies[0].message()));
  ASSERT_TRUE(add_streamed(fold, replies[1], rng));
  ASSERT_TRUE(add_streamed(fold, replies[2], rng));
  const auto lost = *begin(fold, replies[3]);
  const auto other = *begin(fold, replies[4]);
  const std::vector<std::byte> blob = blob_of(replies[3].arrays, rng);
  ASSERT_TRUE(fold.add(*lost, std::span(blob).first(blob.size() / 2)).ok());
  EXPECT_TRUE(fold.drop(*lost, kLost));
  EXPECT_FALSE(fold.drop(*lost, kLost)) << "it has ended";
  EXPECT_THAT(fold.restart(), ElementsAre(replies[1].node, replies[2].node));
  EXPECT_EQ(fold.replies(), 1u);
  EXPECT_EQ(fold.failures(), 1u);

  EXPECT_TRUE(absl::IsFailedPrecondition(fold.add(*other, blob)));
  EXPECT_TRUE(absl::IsFailedPrecondition(fold.finish(*other)));
  EXPECT_FALSE(fold.drop(*other, kLost));
  for (const size_t k : {2, 4, 1}) ASSERT_TRUE(add_streamed(fold, replies[k], rng));
  FoldResult expected = folded({replies[0], replies[1], replies[2], replies[4]});
  expected.failures[Code::kDeadline] = 1;
  expected.failure_samples.push_back({replies[3].node, kLost});
  EXPECT_TRUE(same(close(fold, layout), expected));
}

TEST(StreamFoldTest, DropSaysWhetherTheSumsHoldAPart) {
  Rng rng(4);
  const Layout layout{{"w", DType::kFloat32, {5000}}};
  const std::vector<Reply> replies = random_replies(rng, layout, 3);
  StreamFold fold(std::make_shared<const Layout>(layout), {});
  ASSERT_TRUE(add_streamed(fold, replies[0], rng));
  const std::vector<std::byte> blob = blob_of(replies[1].arrays, rng);
  const auto early = *begin(fold, replies[1]);
  ASSERT_TRUE(fold.add(*early, std::span(blob).first(4 * 2048 - 1)).ok());
  EXPECT_FALSE(fold.drop(*early, kLost)) << "not a block of it is complete";
  const auto untouched = *begin(fold, replies[2]);
  EXPECT_TRUE(absl::IsFailedPrecondition(fold.close({}).status())) << "one is under way";
  EXPECT_FALSE(fold.drop(*untouched, kLost));
  FoldResult expected = folded({replies[0]});
  expected.failures[Code::kDeadline] = 2;
  expected.failure_samples = {{replies[1].node, kLost}, {replies[2].node, kLost}};
  EXPECT_TRUE(same(close(fold, layout), expected));
}

TEST(StreamFoldTest, APartInTheSumsKeepsThemFromClosing) {
  Rng rng(5);
  const Layout layout{{"w", DType::kFloat32, {5000}}};
  const std::vector<Reply> replies = random_replies(rng, layout, 2);
  StreamFold fold(std::make_shared<const Layout>(layout), {});
  const auto lost = *begin(fold, replies[0]);
  const std::vector<std::byte> blob = blob_of(replies[0].arrays, rng);
  ASSERT_TRUE(fold.add(*lost, std::span(blob).first(4 * 2048)).ok());
  EXPECT_TRUE(fold.drop(*lost, kLost));
  EXPECT_THAT(message_of(fold.close({}).status()), HasSubstr("restart() comes first"));
  EXPECT_THAT(fold.restart(), ElementsAre());
  ASSERT_TRUE(add_streamed(fold, replies[1], rng));
  EXPECT_EQ(close(fold, layout).arrays, folded({replies[1]}).arrays);
}

TEST(StreamFoldTest, RefusesWhatFoldRefusesInItsWords) {
  Rng rng(6);
  const Layout layout{{"w", DType::kFloat32, {3000}}, {"b", DType::kFloat64, {3}}};
  std::vector<Reply> replies = random_replies(rng, layout, 6);
  replies[1].arrays["w"].mutable_view<float>()[70] = kNaN;
  replies[2].metrics.set("num-examples", 0);
  replies[3].metrics.set("loss", std::vector<double>{HUGE_VAL});
  replies[4].arrays["b"] = Array::zeros(DType::kFloat64, {4});
  StreamFold fold(std::make_shared<const Layout>(layout), {});
  for (const Reply& reply : replies) ASSERT_TRUE(add_streamed(fold, reply, rng));
  EXPECT_EQ(fold.failures(), 4u);
  EXPECT_TRUE(same(close(fold, layout), folded(replies)));

  StreamFold whole(std::make_shared<const Layout>(layout), {});
  for (size_t k = 0; k != replies.size(); ++k) {
    EXPECT_EQ(whole.add(replies[k].message()), k == 0 || k == 5);
  }
  EXPECT_EQ(whole.failures(), 4u);
  EXPECT_TRUE(same(close(whole, layout), folded(replies)));
}

TEST(StreamFoldTest, ABadBlockIsNamedAndEndsItsReply) {
  Rng rng(7);
  const Layout layout{{"w", DType::kFloat32, {5000}}};
  std::vector<Reply> replies = random_replies(rng, layout, 2);
  replies[0].arrays["w"].mutable_view<float>()[4567] = kNaN;
  StreamFold fold(std::make_shared<const Layout>(layout), {});
  const auto bad = *begin(fold, replies[0]);
  const std::vector<std::byte> blob = blob_of(replies[0].arrays, rng);
  const Status status = fold.add(*bad, blob);
  EXPECT_EQ(message_of(status), "array \"w\": element 4567 is nan, expected a finite number");
  EXPECT_EQ(fold.add(*bad, {}), status);
  EXPECT_EQ(fold.finish(*bad), status);
  EXPECT_TRUE(fold.drop(*bad, {Code::kBadReply, message_of(status)}));
  fold.restart();
  ASSERT_TRUE(add_streamed(fold, replies[1], rng));
  EXPECT_TRUE(same(close(fold, layout), folded(replies)));
}

TEST(StreamFoldTest, TooManyAndTooFewBytesAreRefused) {
  Rng rng(8);
  const Layout layout{{"w", DType::kFloat32, {5}}};
  const Reply reply = random_replies(rng, layout, 1)[0];
  StreamFold fold(std::make_shared<const Layout>(layout), {});
  const auto streamed = *begin(fold, reply);
  const std::vector<std::byte> blob(21);
  ASSERT_TRUE(fold.add(*streamed, std::span(blob).first(19)).ok());
  EXPECT_THAT(message_of(fold.finish(*streamed)), HasSubstr("19 bytes so far, expected 20"));
  EXPECT_TRUE(absl::IsInvalidArgument(fold.add(*streamed, std::span(blob).first(2))));
  EXPECT_FALSE(fold.finish(*streamed).ok());
  EXPECT_FALSE(fold.drop(*streamed, kLost));
}

TEST(StreamFoldTest, AGivenWeightStandsForTheFunctionsOwn) {
  Rng rng(9);
  const Layout layout{{"w", DType::kFloat32, {5}}};
  const std::vector<Reply> replies = random_replies(rng, layout, 2);
  const auto examples = [](const MetricRecord& m) { return m.real("num-examples") / 3; };
  const FoldResult expected = folded(replies, {.weight = examples, .weight_max = 20});
  const auto elsewhere = [](const MetricRecord&) -> double { throw std::logic_error("called"); };
  StreamFold fold(std::make_shared<const Layout>(layout), {.weight = elsewhere, .weight_max = 20});
  ASSERT_TRUE(fold.add(replies[0].message(), examples(replies[0].metrics)));
  const auto streamed =
      *fold.begin(replies[1].node, layout, replies[1].metrics,
                  replies[1].message().content().byte_size(), examples(replies[1].metrics));
  ASSERT_TRUE(stream(fold, *streamed, replies[1], rng).ok());
  EXPECT_THAT(message_of(fold.begin(NodeId(9), layout, {}, 0, -1.0).status()),
              HasSubstr("weight is -1, expected a positive finite number"));
  EXPECT_TRUE(same(close(fold, layout), expected));
}

TEST(StreamFoldTest, MetricsAloneNeedNoArrays) {
  Rng rng(10);
  const std::vector<Reply> replies = random_replies(rng, {{"w", DType::kFloat32, {5}}}, 3);
  Serial serial;
  Fold expected(std::shared_ptr<const Layout>(), {});
  StreamFold fold(nullptr, {});
  for (const Reply& reply : replies) expected.add(reply.message());
  ASSERT_TRUE(fold.add(replies[0].message()));
  for (const size_t k : {1, 2}) ASSERT_TRUE(add_streamed(fold, replies[k], rng));
  const Result<FoldResult> result = fold.close({});
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(same(*result, expected.finish(serial)));
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryIsWatched = true;  // and takes more of itself
#else
constexpr bool kMemoryIsWatched = false;
#endif

size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  size_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(StreamFoldTest, TakesTwiceTheModelAndGivesItBackAsTheMeanGoesOut) {
  if (kMemoryIsWatched) GTEST_SKIP() << "a sanitizer has memory of its own";
  constexpr size_t kModel = size_t{192} << 20;
  constexpr size_t kSlack = size_t{12} << 20;
  const Layout layout{{"w", DType::kFloat32, {static_cast<int64_t>(kModel / 8)}},
                      {"v", DType::kFloat32, {static_cast<int64_t>(kModel / 8)}}};
  std::vector<float> piece(size_t{1} << 18);
  Rng rng(13);
  for (float& x : piece) x = static_cast<float>(rng.normal());
  const size_t before = resident_bytes();
  StreamFold fold(std::make_shared<const Layout>(layout), {});
  for (uint64_t node = 0; node != 2; ++node) {
    const auto reply = *fold.begin(NodeId(node), layout, {{"num-examples", 1 + node}}, kModel);
    for (size_t at = 0; at != kModel; at += piece.size() * sizeof(float)) {
      ASSERT_TRUE(fold.add(*reply, std::as_bytes(std::span(piece))).ok());
    }
    ASSERT_TRUE(fold.finish(*reply).ok());
    EXPECT_LE(resident_bytes(), before + 2 * kModel + kSlack);
  }
  size_t handed_out = 0;
  const Result<FoldResult> result = fold.close([&](std::span<const std::byte> bytes) {
    handed_out += bytes.size();
    EXPECT_LE(resident_bytes(),
              before + kSlack +
                  std::min(2 * kModel, 2 * (kModel - handed_out) + kLargeBytesKept + kSlack));
    return absl::OkStatus();
  });
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(handed_out, kModel);
}

TEST(StreamFoldTest, NothingCountsAfterTheEnd) {
  Rng rng(11);
  const Layout layout{{"w", DType::kFloat32, {5}}};
  const Reply reply = random_replies(rng, layout, 1)[0];
  StreamFold fold(std::make_shared<const Layout>(layout), {});
  EXPECT_EQ(close(fold, layout).replies, 0u);
  EXPECT_FALSE(fold.add(reply.message()));
  fold.fail(reply.node, kLost);
  EXPECT_TRUE(absl::IsFailedPrecondition(begin(fold, reply).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(fold.close({}).status()));
  EXPECT_EQ(fold.failures(), 0u);
}

TEST(StreamFoldTest, WhatTakesTheMeanMayFail) {
  Rng rng(12);
  const Layout layout{{"w", DType::kFloat32, {5}}};
  StreamFold fold(std::make_shared<const Layout>(layout), {});
  ASSERT_TRUE(add_streamed(fold, random_replies(rng, layout, 1)[0], rng));
  const Status full = resource_exhausted("the disk is full");
  EXPECT_EQ(fold.close([&](auto) { return full; }).status(), full);
}

}  // namespace
}  // namespace umbel::aggregate
