#include "umbel/app/evaluate_sites.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "umbel/app/client_app.h"
#include "umbel/app/fake_grid_test.h"
#include "umbel/app/fake_runtime_test.h"
#include "umbel/base/rng.h"

namespace umbel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> equal(size_t count) { return std::vector<double>(count, 1.0); }

// Quantiles from tables: t of 4 degrees of freedom at 97.5 %, and of 1.
TEST(SiteEstimate, OfEqualSitesIsStudentsIntervalOfAMean) {
  const std::vector<double> values = {0.8, 0.9, 0.85, 0.95, 0.7};
  const SiteEstimate got = estimate_over_sites(values, equal(5));
  EXPECT_EQ(got.sites, 5u);
  EXPECT_NEAR(got.mean, 0.84, 1e-15);
  EXPECT_EQ(got.least, 0.7);
  EXPECT_EQ(got.greatest, 0.95);
  const double half = 2.7764451051977987 * std::sqrt(0.037 / 4 / 5);
  EXPECT_NEAR(got.interval->first, 0.84 - half, 1e-12);
  EXPECT_NEAR(got.interval->second, 0.84 + half, 1e-12);
}

TEST(SiteEstimate, OfUnequalSitesIsTheRatioEstimators) {
  const SiteEstimate got =
      estimate_over_sites(std::vector<double>{0, 1}, std::vector<double>{1, 3}, 0.95);
  EXPECT_DOUBLE_EQ(got.mean, 0.75);
  // s^2 = 2 ((1/4 * 3/4)^2 + (3/4 * 1/4)^2)
  EXPECT_NEAR(got.interval->second - 0.75, 12.706204736432095 * 0.375, 1e-9);
  EXPECT_NEAR(0.75 - got.interval->first, 12.706204736432095 * 0.375, 1e-9);
}

TEST(SiteEstimate, OneSiteHasNoIntervalAndOneWithoutWeightIsNone) {
  EXPECT_FALSE(estimate_over_sites(std::vector<double>{0.5}, equal(1)).interval);
  const SiteEstimate got =
      estimate_over_sites(std::vector<double>{0.5, 9, 0.7}, std::vector<double>{2, 0, 2});
  EXPECT_EQ(got.sites, 2u);
  EXPECT_DOUBLE_EQ(got.mean, 0.6);
  EXPECT_EQ(got.greatest, 0.7);
  EXPECT_EQ(estimate_over_sites({}, {}).sites, 0u);
  EXPECT_EQ(estimate_over_sites(std::vector<double>{3}, std::vector<double>{0}).sites, 0u);
}

TEST(SiteEstimate, FollowsItsLaws) {
  Rng rng(7);
  std::vector<double> values(30), weights(30);
  for (double& value : values) value = rng.uniform();
  for (double& weight : weights) weight = 1 + std::floor(100 * rng.uniform());
  const SiteEstimate one = estimate_over_sites(values, weights);

  std::vector<double> scaled = weights;
  for (double& weight : scaled) weight *= 1024;  // the scale of weights says nothing
  EXPECT_EQ(estimate_over_sites(values, scaled).interval, one.interval);

  std::vector<double> moved = values;
  for (double& value : moved) value = 3 - 2 * value;
  const SiteEstimate other = estimate_over_sites(moved, weights);
  EXPECT_NEAR(other.mean, 3 - 2 * one.mean, 1e-12);
  EXPECT_NEAR(other.interval->first, 3 - 2 * one.interval->second, 1e-12);
  EXPECT_NEAR(other.interval->second, 3 - 2 * one.interval->first, 1e-12);

  const double wider = estimate_over_sites(values, weights, 0.99).interval->second;
  EXPECT_GT(wider, one.interval->second);
  const SiteEstimate same = estimate_over_sites(std::vector<double>(30, 0.1), weights);
  EXPECT_EQ(same.mean, 0.1);
  EXPECT_EQ(*same.interval, std::pair(0.1, 0.1));
}

// The share of intervals that hold the true mean, over samples of `sites` normal values.
double coverage(size_t sites, bool weighted, uint64_t seed) {
  constexpr int kSamples = 4000;
  Rng rng(seed);
  int held = 0;
  for (int sample = 0; sample != kSamples; ++sample) {
    std::vector<double> values(sites), weights = equal(sites);
    for (size_t i = 0; i != sites; ++i) {
      values[i] = 5 + 2 * rng.normal();
      if (weighted) weights[i] = 1 + std::floor(4 * rng.uniform());
    }
    const auto interval = *estimate_over_sites(values, weights).interval;
    held += interval.first <= 5 && 5 <= interval.second ? 1 : 0;
  }
  return held / static_cast<double>(kSamples);
}

TEST(SiteEstimate, HoldsTheMeanAsOftenAsItSays) {
  const double sigma = std::sqrt(0.95 * 0.05 / 4000);
  EXPECT_NEAR(coverage(6, false, 11), 0.95, 4 * sigma) << "seed 11";
  EXPECT_NEAR(coverage(20, true, 12), 0.95, 4 * sigma + 0.01) << "seed 12; approximate";
}

TEST(SiteEstimate, SurvivesWeightsAndValuesNearTheLargestNumber) {
  const std::vector<double> weights(4, 1e308);
  const SiteEstimate got = estimate_over_sites(std::vector<double>{1, 2, 3, 4}, weights);
  EXPECT_EQ(got.mean, 2.5);
  EXPECT_EQ(got.interval, estimate_over_sites(std::vector<double>{1, 2, 3, 4}, equal(4)).interval);
  const SiteEstimate wide = estimate_over_sites(std::vector<double>{-1.7e308, 1.7e308}, equal(2));
  EXPECT_EQ(wide.mean, 0);
  EXPECT_FALSE(wide.interval) << "none that a number could say";
}

TEST(SiteEstimate, RefusesWhatIsNoNumber) {
  const auto refused = [](std::vector<double> values, std::vector<double> weights,
                          double confidence, const char* why) {
    EXPECT_THAT([&] { (void)estimate_over_sites(values, weights, confidence); },
                ThrowsMessage<Error>(HasSubstr(why)));
  };
  refused({1, 2}, {1}, 0.95, "2 values and 1 weights");
  refused({kNan}, {1}, 0.95, "nan");
  refused({1}, {-1}, 0.95, "no negative weight");
  for (const double confidence : {0.0, 1.0, 95.0, kNan})
    refused({1}, {1}, confidence, "confidence");
}

// Client k has k + 1 examples, of which the model is right about the share x k / 10.
class EvaluateSitesTest : public ::testing::Test {
 protected:
  EvaluateSitesTest() {
    app.evaluate([](const Message& m, Context& c) {
      const uint64_t k = c.partition_id();
      const double accuracy = m.arrays()["x"].view<double>()[0] * static_cast<double>(k) / 10;
      return m.reply({{"num-examples", k + 1}, {"accuracy", accuracy}});
    });
    app.evaluate("odd", [](const Message& m, Context& c) -> Message {
      const uint64_t k = c.partition_id();
      if (k == 0) throw std::runtime_error("no data here");
      if (k == 1) return m.reply({{"accuracy", 0.5}});
      if (k == 2) return m.reply({{"num-examples", 3}, {"accuracy", kNan}});
      if (k == 3) return m.reply({{"num-examples", -3}, {"accuracy", 1}});
      if (k == 4) return m.reply(RecordDict{});
      if (k == 5) return m.reply({{"num-examples", 2}, {"f1", m.config().real("f1")}});
      return m.reply(
          {{"num-examples", 1}, {"accuracy", 1}, {"by-class", std::vector<double>{1, 0}}});
    });
  }
  SiteEvaluation go(const SiteEvaluationOptions& options = {}) {
    return evaluate_sites(grid, {{"x", Array::of<double>({1})}}, options);
  }

  FakeRuntime runtime;
  umbel::Run run{.id = RunId(1), .nodes = 8, .runtime = &runtime};
  ClientApp app;
  FakeGrid grid{app, run};
};

TEST_F(EvaluateSitesTest, AsksEverybodyOnceAndWeighsByExamples) {
  const SiteEvaluation got = go();
  EXPECT_EQ(got.sites.size(), 8u);
  for (uint64_t k = 0; k != 8; ++k) EXPECT_EQ(got.sites[k].node, NodeId(k));
  double above = 0, below = 0;
  for (int k = 0; k != 8; ++k) above += (k + 1) * k / 10.0, below += k + 1;
  EXPECT_NEAR(got.at("accuracy").mean, above / below, 1e-15);
  const MetricRecord metrics = got.metrics();
  EXPECT_EQ(metrics.integer("sites"), 8);
  EXPECT_EQ(metrics.real("num-examples"), 36);
  EXPECT_EQ(metrics.integer("failures"), 0);
  EXPECT_EQ(metrics.real("accuracy-low"), got.at("accuracy").interval->first);
  EXPECT_LT(metrics.real("accuracy-low"), metrics.real("accuracy"));
  EXPECT_THAT([&] { (void)got.at("loss"); },
              ThrowsMessage<Error>(HasSubstr("there are: accuracy")));
}

TEST_F(EvaluateSitesTest, WhatDoesNotCountIsAFailureThatSaysWhy) {
  const SiteEvaluation got = go({.config = {{"f1", 0.25}}, .action = "odd"});
  ASSERT_EQ(got.failures.size(), 5u);
  const auto reason = [&](size_t i) { return got.failures[i].error.reason; };
  EXPECT_THAT(reason(0), HasSubstr("no data here"));
  EXPECT_THAT(reason(1),
              HasSubstr("no \"num-examples\", by which sites count; there are: accuracy"));
  EXPECT_THAT(reason(2), HasSubstr("its metric \"accuracy\" is nan"));
  EXPECT_THAT(reason(3), HasSubstr("its \"num-examples\" is -3, expected a number from 0 to 2^53"));
  EXPECT_THAT(reason(4), HasSubstr("client 4: its reply has no metrics"));
  EXPECT_EQ(got.at("f1").sites, 1u) << "what one site alone measures";
  EXPECT_EQ(got.at("accuracy").sites, 2u);
  EXPECT_EQ(got.estimates.size(), 2u) << "lists have no mean";
  EXPECT_FALSE(got.metrics().contains("f1-low"));
}

TEST_F(EvaluateSitesTest, WhoDoesNotAnswerIsAFailure) {
  grid.sleeps = [](NodeId node) { return node == NodeId(3); };
  const SiteEvaluation got = go({.deadline = std::chrono::duration<double>(1)});
  EXPECT_EQ(got.sites.size(), 7u);
  ASSERT_EQ(got.failures.size(), 1u);
  EXPECT_EQ(got.failures[0].node, NodeId(3));
  EXPECT_EQ(got.failures[0].error.code, MessageError::Code::kDeadline);
}

TEST_F(EvaluateSitesTest, TheSitesAreThoseNamedInTheirOrder) {
  const SiteEvaluation got = go({.nodes = {6, 2}, .weight = "accuracy"});
  ASSERT_EQ(got.sites.size(), 2u);
  EXPECT_EQ(got.sites[0].node, NodeId(2));
  EXPECT_EQ(got.weight, "accuracy");
  EXPECT_NEAR(got.at("num-examples").mean, (0.6 * 7 + 0.2 * 3) / 0.8, 1e-12);
}

TEST_F(EvaluateSitesTest, ManySitesAreAskedInParts) {
  run.nodes = 25'000;
  EXPECT_EQ(go().sites.size(), 25'000u);
  EXPECT_EQ(grid.most_pushed, 10'000u);
}

TEST_F(EvaluateSitesTest, MetricsOfSitesTakePrecedenceOverNamesOfOurs) {
  app.evaluate("names", [](const Message& m, Context& c) {
    const auto k = static_cast<double>(c.partition_id());
    return m.reply({{"num-examples", 1}, {"a", k}, {"a-low", 0.5}, {"sites", 77}, {"b", k}});
  });
  const MetricRecord metrics = go({.action = "names"}).metrics();
  EXPECT_EQ(metrics.real("a-low"), 0.5);
  EXPECT_FALSE(metrics.contains("a-high"));
  EXPECT_EQ(metrics.real("sites"), 77);
  EXPECT_TRUE(metrics.contains("b-low") && metrics.contains("b-high"));
}

TEST_F(EvaluateSitesTest, AWeightBeyondMeasureOrAFloodOfNamesIsAFailure) {
  app.evaluate("much", [](const Message& m, Context& c) {
    MetricRecord metrics{{"num-examples", c.partition_id() == 0 ? 1e308 : 1.0}, {"a", 1}};
    if (c.partition_id() == 2) metrics.set("num-examples", std::vector<double>{1, 2});
    for (int i = 0; c.partition_id() == 1 && i != 100'000; ++i)
      metrics.append(fmt::format("{}", i), 1);
    return m.reply(metrics);
  });
  const SiteEvaluation got = go({.action = "much"});
  ASSERT_EQ(got.failures.size(), 3u);
  EXPECT_THAT(got.failures[0].error.reason, HasSubstr("its \"num-examples\" is 1e+308, expected"));
  EXPECT_THAT(got.failures[2].error.reason, HasSubstr("its \"num-examples\" is a list, expected"));
  EXPECT_EQ(got.estimates.size(), 1u);
}

TEST_F(EvaluateSitesTest, SitesWithoutExamplesSayNothing) {
  app.evaluate("none", [](const Message& m, Context&) {
    return m.reply({{"num-examples", 0}, {"accuracy", 1}});
  });
  const SiteEvaluation got = go({.action = "none"});
  EXPECT_EQ(got.sites.size(), 8u);
  EXPECT_TRUE(got.estimates.empty());
}

TEST_F(EvaluateSitesTest, WhatCannotBeIsRefused) {
  const auto refused = [&](const SiteEvaluationOptions& options, const char* why) {
    EXPECT_THAT([&] { (void)go(options); }, ThrowsMessage<Error>(HasSubstr(why)));
  };
  refused({.nodes = {1, 2, 1}}, "client 1 is asked twice");
  refused({.confidence = 95}, "the confidence is 95");
  refused({.deadline = std::chrono::duration<double>(0)}, "the deadline is 0 s");
  refused({.action = "absent"}, "0 of 8 sites evaluated the model, expected at least 1; the first");
  refused({.sites_min = 9}, "8 sites are asked, and at least 9 are to reply");
}

}  // namespace
}  // namespace umbel
