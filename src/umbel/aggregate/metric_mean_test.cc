#include "umbel/aggregate/metric_mean.h"

#include <gmock/gmock.h>
#include <gmpxx.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "umbel/base/rng.h"

namespace umbel::aggregate {
namespace {

using ::testing::HasSubstr;

struct Reply {
  MetricRecord metrics;
  double weight;
};

MetricRecord mean_of(const std::vector<Reply>& replies) {
  MetricMean mean("n");
  for (const auto& [metrics, weight] : replies) {
    EXPECT_TRUE(MetricMean::check(metrics, weight).ok());
    mean.add(metrics, weight);
  }
  return mean.finish();
}

TEST(MetricMeanTest, AveragesWithWeightsAndSumsTheWeightKey) {
  const MetricRecord mean =
      mean_of({{{{"n", 1}, {"loss", 0.5}}, 1}, {{{"n", 3}, {"loss", 1.5}}, 3}});
  EXPECT_EQ(mean.real("loss"), 1.25);
  EXPECT_EQ(mean.integer("n"), 4);
}

TEST(MetricMeanTest, AMetricThatSomeLackIsAveragedOverThoseThatHaveIt) {
  const MetricRecord mean = mean_of({{{{"a", 1}}, 10}, {{{"a", 3}, {"b", 7}}, 10}});
  EXPECT_EQ(mean.real("a"), 2);
  EXPECT_EQ(mean.real("b"), 7);
}

TEST(MetricMeanTest, ListsAreAveragedByElement) {
  const MetricRecord mean =
      mean_of({{{{"l", std::vector<double>{1, 2}}}, 1}, {{{"l", std::vector<int64_t>{4, 8}}}, 2}});
  EXPECT_EQ(mean.reals("l"), (std::vector<double>{3, 6}));
}

TEST(MetricMeanTest, ConflictingFormsAreLeftOutInAnyOrder) {
  const std::vector<Reply> replies{{{{"l", std::vector<double>{1, 2}}, {"x", 1}}, 1},
                                   {{{"l", std::vector<double>{1, 2, 3}}, {"x", 3}}, 1},
                                   {{{"l", 5}, {"x", 2}}, 1}};
  std::vector<size_t> order{0, 1, 2};
  do {
    MetricMean mean("n");
    MetricMean other("n");
    mean.add(replies[order[0]].metrics, 1);
    other.add(replies[order[1]].metrics, 1);
    other.add(replies[order[2]].metrics, 1);
    mean.merge(other);
    EXPECT_EQ(mean.finish(), (MetricRecord{{"x", 2.0}}));
  } while (std::ranges::next_permutation(order).found);
}

TEST(MetricMeanTest, NamesPastTheThousandLeastAreLeftOutInAnyOrder) {
  Rng rng(1);
  std::vector<Reply> replies;
  for (int r = 0; r != 30; ++r) {
    Reply reply{{}, 1};
    for (int i = 0; i != 50; ++i) reply.metrics.set(fmt::format("m{:04}", (r * 50 + i) % 1400), r);
    replies.push_back(reply);
  }
  const MetricRecord expected = mean_of(replies);
  EXPECT_EQ(expected.size(), 1000u);
  EXPECT_EQ(expected.entry(999).first, "m0999");
  for (int i = 0; i != 20; ++i) {
    rng.shuffle(std::span(replies));
    EXPECT_EQ(mean_of(replies), expected);
  }
}

RC_GTEST_PROP(MetricMeanTest, IsTheRationalMeanInAnyOrderAndMergeTree, (uint64_t seed)) {
  Rng rng(seed);
  std::vector<Reply> replies;
  mpq_class sum = 0;
  mpq_class total = 0;
  mpz_class examples = 0;
  const size_t count = 1 + rng.below(40);
  for (size_t i = 0; i != count; ++i) {
    const double x = std::ldexp(rng.normal(), static_cast<int>(rng.below(200)) - 100);
    const double weight = std::ldexp(1 + rng.uniform(), static_cast<int>(rng.below(60)) - 30);
    const auto n = static_cast<int64_t>(rng.bits() >> (8 + rng.below(40)));
    replies.push_back({{{"x", x}, {"n", n}}, weight});
    sum += mpq_class(weight) * mpq_class(x);
    total += mpq_class(weight);
    examples += mpz_class(std::to_string(n));
  }
  const MetricRecord expected = mean_of(replies);
  const mpq_class exact = sum / total;
  const mpq_class error = abs(mpq_class(expected.real("x")) - exact);
  RC_ASSERT(error <= abs(exact) * mpq_class(0x1p-51));  // three roundings
  RC_ASSERT(examples == mpz_class(std::to_string(expected.integer("n"))));

  rng.shuffle(std::span(replies));
  std::vector<MetricMean> parts(1 + rng.below(5), MetricMean("n"));
  for (const auto& [metrics, weight] : replies) parts[rng.below(parts.size())].add(metrics, weight);
  MetricMean all("n");
  for (const MetricMean& part : parts) all.merge(part);
  RC_ASSERT(all.finish() == expected);
}

TEST(MetricMeanTest, IntegerSumsBeyondTheirTypeBecomeReal) {
  const int64_t most = INT64_MAX;
  EXPECT_EQ(mean_of({{{{"n", most}}, 1}}).integer("n"), most);
  EXPECT_EQ(mean_of({{{{"n", most}}, 1}, {{{"n", most}}, 1}}).real("n"), 0x1p64);
}

TEST(MetricMeanTest, RefusesWhatCannotBeAveraged) {
  const auto why = [](const MetricRecord& metrics, double weight = 1) {
    return message_of(MetricMean::check(metrics, weight));
  };
  EXPECT_THAT(why({{"loss", NAN}}), HasSubstr("\"loss\" is nan, expected a finite number"));
  EXPECT_THAT(why({{"l", std::vector<double>{0, -INFINITY}}}), HasSubstr("\"l\" is -inf"));
  EXPECT_THAT(why({{"loss", 1e300}}), HasSubstr("too large to average with weight 1"));
  EXPECT_THAT(why({{"loss", 1e280}}, 1e20), HasSubstr("too large to average with weight 1e+20"));
  EXPECT_THAT(why({{"l", std::vector<double>(65536)}, {"m", 1}}), HasSubstr("65537"));
  MetricRecord many;
  for (int i = 0; i != 1001; ++i) many.append(fmt::format("{}", i), i);
  EXPECT_THAT(why(many), HasSubstr("1001 metrics in one reply, the limit is 1000"));
}

TEST(MetricMean, WhatTooFewHaveIsLeftOut) {
  MetricMean a("n"), b("n");
  a.add({{"n", 1}, {"loss", 2.0}, {"rare", 1.0}}, 1);
  a.add({{"n", 1}, {"loss", 4.0}}, 1);
  b.add({{"n", 1}, {"rare", 3.0}}, 1);
  a.merge(b);
  EXPECT_EQ(a.finish(2), (MetricRecord{{"loss", 3.0}, {"n", 3}, {"rare", 2.0}}));
  EXPECT_EQ(a.finish(3), (MetricRecord{{"n", 3}}));
}

}  // namespace
}  // namespace umbel::aggregate
