#include "umbel/aggregate/fold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "umbel/aggregate/fold_replies_test.h"
#include "umbel/base/rng.h"

namespace umbel::aggregate {
namespace {

using ::testing::HasSubstr;
using Code = MessageError::Code;

Message message_to(uint64_t node) {
  return Message(Metadata{.id = MessageId(node + 1),
                          .source = kServerNode,
                          .destination = NodeId(node),
                          .type = "train"},
                 RecordDict());
}
ArrayRecord arrays(float a, float b) { return {{"w", Array::of<float>({a, b})}}; }
Message reply(uint64_t node, ArrayRecord update, MetricRecord metrics) {
  return message_to(node).reply(std::move(update), std::move(metrics));
}
std::shared_ptr<const ArrayRecord> layout() {
  return std::make_shared<const ArrayRecord>(arrays(0, 0));
}

FoldResult fold(const std::vector<Message>& replies, FoldOptions options = {},
                std::shared_ptr<const ArrayRecord> like = layout()) {
  Serial serial;
  Fold fold(std::move(like), std::move(options));
  for (const Message& reply : replies) fold.add(reply);
  return fold.finish(serial);
}

std::string reason(const Message& bad, FoldOptions options = {}) {
  const FoldResult result = fold({bad}, std::move(options));
  EXPECT_EQ(result.replies, 0u);
  EXPECT_TRUE(result.arrays.empty());
  EXPECT_TRUE(result.metrics.empty());
  EXPECT_EQ(result.failures, (std::map<Code, uint64_t>{{Code::kBadReply, 1}}));
  return result.failure_samples.empty() ? "" : result.failure_samples[0].error.reason;
}

TEST(FoldTest, AveragesArraysAndMetricsByExamples) {
  const FoldResult result = fold({reply(0, arrays(1, 0), {{"num-examples", 1}, {"loss", 4.0}}),
                                  reply(1, arrays(5, 4), {{"num-examples", 3}, {"loss", 8.0}})});
  EXPECT_EQ(result.arrays, arrays(4, 3));
  EXPECT_EQ(result.metrics.real("loss"), 7);
  EXPECT_EQ(result.metrics.integer("num-examples"), 4);
  EXPECT_EQ(result.replies, 2u);
  EXPECT_EQ(result.weight, 4);
  EXPECT_EQ(result.failure_count(), 0u);
}

TEST(FoldTest, MetricsOnlyFoldsHaveAWeightToo) {
  const FoldResult result =
      fold({message_to(0).reply(MetricRecord{{"num-examples", 2}})}, {}, nullptr);
  EXPECT_EQ(result.weight, 2);
  EXPECT_TRUE(result.arrays.empty());
}

TEST(FoldTest, NothingFoldedIsEmpty) {
  const FoldResult result = fold({});
  EXPECT_TRUE(result.arrays.empty());
  EXPECT_TRUE(result.metrics.empty());
  EXPECT_EQ(result.weight, 0);
}

TEST(FoldTest, RefusalsSayWhy) {
  const MetricRecord one{{"num-examples", 1}};
  EXPECT_THAT(reason(reply(0, {{"v", Array::of<float>({1, 2})}}, one)),
              HasSubstr("array 0 is \"v\", the round expects \"w\""));
  EXPECT_THAT(reason(reply(0, {{"w", Array::of<float>({1, 2, 3})}}, one)),
              HasSubstr("array \"w\": float32[3], the round expects float32[2]"));
  EXPECT_THAT(reason(reply(0, arrays(1, NAN), one)), HasSubstr("element 1 is nan"));
  EXPECT_THAT(reason(reply(0, arrays(1, 1), {{"num-examples", 0}})),
              HasSubstr("\"num-examples\" is 0: the reply carries no examples"));
  EXPECT_THAT(reason(reply(0, arrays(1, 1), {{"num-examples", -3}})),
              HasSubstr("-3, expected a positive finite number"));
  EXPECT_THAT(reason(reply(0, arrays(1, 1), {{"num-examples", 1e300}})),
              HasSubstr("\"num-examples\": weight is 1e+300"));
  EXPECT_THAT(reason(reply(0, arrays(1, 1), {{"num-examples", std::vector<double>{1}}})),
              HasSubstr("is a list, expected one number"));
  EXPECT_THAT(reason(reply(0, arrays(1, 1), {{"examples", 1}})),
              HasSubstr("\"num-examples\" is missing: it weighs the reply in the mean; there are: "
                        "examples"));
  EXPECT_THAT(reason(reply(0, arrays(1, 1), {{"num-examples", 1}, {"loss", NAN}})),
              HasSubstr("metric \"loss\" is nan"));
  EXPECT_THAT(reason(message_to(0).reply(one)), HasSubstr("no arrays; there are: metrics"));
  const Metadata metadata{.reply_to = MessageId(1), .source = NodeId(0)};
  EXPECT_THAT(reason(Message(metadata, std::shared_ptr<const RecordDict>())),
              HasSubstr("neither content nor error"));
}

TEST(FoldTest, ARefusedReplyCountsInNothing) {
  const Message good = reply(1, arrays(2, 3), {{"num-examples", 2}, {"loss", 1.0}});
  const FoldResult result =
      fold({reply(0, arrays(1e30f, NAN), {{"num-examples", 5}, {"loss", 100.0}}), good});
  EXPECT_EQ(result.arrays, arrays(2, 3));
  EXPECT_EQ(result.metrics, (MetricRecord{{"loss", 1.0}, {"num-examples", 2}}));
  EXPECT_EQ(result.reply_bytes, good.content().byte_size());
}

TEST(FoldTest, WeightsComeFromAFunctionAndAreCapped) {
  const std::vector<Message> replies{
      reply(0, arrays(0, 0), {{"num-examples", 10}, {"group", 1}}),
      reply(1, arrays(4, 8), {{"num-examples", 1000}, {"group", 3}})};
  const FoldResult capped = fold(replies, {.weight_max = 10});
  EXPECT_EQ(capped.arrays, arrays(2, 4));
  EXPECT_EQ(capped.weight, 20);
  const auto by_group = [](const MetricRecord& m) { return m.real("group"); };
  EXPECT_EQ(fold(replies, {.weight = by_group}).arrays, arrays(3, 6));
  const auto nan = [](const MetricRecord&) { return NAN; };
  EXPECT_THAT(reason(replies[0], {.weight = nan}), HasSubstr("weight is nan"));
}

TEST(FoldTest, AReplyForWhichTheWeightFunctionThrowsIsRefused) {
  Fold fold(layout(), {.weight = [](const MetricRecord& m) { return m.real("absent"); }});
  fold.add(reply(0, arrays(1, 1), {{"num-examples", 1}}));
  fold.add(reply(1, arrays(4, 4), {{"num-examples", 1}, {"absent", 2}}));
  Serial serial;
  const FoldResult result = fold.finish(serial);
  EXPECT_EQ(result.arrays, arrays(4, 4));
  EXPECT_EQ(result.failures.at(MessageError::Code::kBadReply), 1u);
  EXPECT_THAT(result.failure_samples[0].error.reason,
              HasSubstr("weight function threw: no entry \"absent\""));
}

TEST(FoldTest, AWeightFunctionMayThrowAnything) {
  const auto number = [](const MetricRecord&) -> double { throw 7; };
  EXPECT_THAT(reason(reply(0, arrays(1, 1), {{"num-examples", 1}}), {.weight = number}),
              HasSubstr("not a std::exception"));
}

TEST(FoldTest, AnyOrderAndMergeTreeGiveTheSameResult) {
  Rng rng(1);
  std::vector<Message> replies;
  for (uint64_t node = 0; node != 90; ++node) {
    const auto x = static_cast<float>(rng.normal());
    const MetricRecord metrics{{"num-examples", 1 + rng.below(100)}, {"loss", rng.normal()}};
    if (node % 3 == 0) {
      const Code code = node % 2 ? Code::kClientFailed : Code::kUnknownAction;
      replies.push_back(message_to(node).reply(MessageError{code, fmt::format("r{}", node)}));
    } else {
      replies.push_back(reply(node, arrays(x, node % 7 == 0 ? NAN : 1), metrics));
    }
  }
  const FoldResult expected = fold(replies);
  EXPECT_EQ(expected.failure_samples.size(), 20u);
  EXPECT_EQ(expected.failure_samples[0].node, NodeId(0));
  EXPECT_EQ(expected.failure_samples[1].node, NodeId(3));
  EXPECT_EQ(expected.failures.at(Code::kClientFailed), 15u);
  EXPECT_EQ(expected.failures.at(Code::kUnknownAction), 15u);
  EXPECT_EQ(expected.replies + expected.failure_count(), 90u);
  Serial serial;
  for (int order = 0; order != 200; ++order) {
    rng.shuffle(std::span(replies));
    std::vector<Fold> parts;
    for (size_t i = 0; i != 1 + static_cast<size_t>(order % 6); ++i)
      parts.emplace_back(layout(), FoldOptions());
    for (const Message& reply : replies) parts[rng.below(parts.size())].add(reply);
    while (parts.size() > 1) {
      const size_t to = rng.below(parts.size() - 1);
      parts[to].merge(std::move(parts.back()));
      parts.pop_back();
    }
    ASSERT_TRUE(same(parts[0].finish(serial), expected)) << "order " << order;
  }
}

}  // namespace
}  // namespace umbel::aggregate
