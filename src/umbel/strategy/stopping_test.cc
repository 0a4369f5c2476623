#include "umbel/strategy/stopping.h"

#include <gtest/gtest.h>

#include <cmath>

namespace umbel {
namespace {

MetricRecord loss(double value) { return {{"loss", value}}; }

std::optional<std::string> after(Stopping& stopping, uint64_t round, const MetricRecord& metrics) {
  const auto reason = stopping.after_round(round, metrics);
  EXPECT_TRUE(reason.ok()) << reason.status();
  return reason.ok() ? *reason : std::nullopt;
}

// The round in which feeding these losses ends the run, or 0.
uint64_t stops_in(Stopping stopping, const std::vector<double>& losses) {
  for (size_t i = 0; i != losses.size(); ++i) {
    if (after(stopping, i + 1, loss(losses[i]))) return i + 1;
  }
  return 0;
}

TEST(Stopping, WithoutRulesNothingStops) {
  Stopping stopping;
  EXPECT_TRUE(stopping.validate().ok());
  EXPECT_EQ(after(stopping, UINT64_MAX, {}), std::nullopt);
}

TEST(Stopping, StopsAfterTheLastRound) {
  Stopping stopping({.rounds = 3});
  EXPECT_EQ(after(stopping, 2, {}), std::nullopt);
  EXPECT_EQ(after(stopping, 3, {}), "all 3 rounds are done");
}

TEST(Stopping, StopsWhenATargetIsReached) {
  Stopping above({.targets = {{"accuracy", Compare::kAtLeast, 0.84}}});
  EXPECT_EQ(after(above, 1, {{"accuracy", 0.8399}}), std::nullopt);
  EXPECT_EQ(after(above, 2, {{"accuracy", 0.84}}),
            "accuracy reached 0.84 in round 2, the target was at least 0.84");
  Stopping below({.targets = {{"errors", Compare::kAtMost, 3}}});
  EXPECT_EQ(after(below, 1, {{"errors", 4}}), std::nullopt);
  EXPECT_EQ(after(below, 2, {{"errors", 3}}),
            "errors reached 3 in round 2, the target was at most 3");
}

TEST(Stopping, StopsOnceTheMetricStaysFlatForThePatience) {
  const StopRules lower{.plateaus = {{.metric = "loss", .patience = 2, .better = Better::kLower}}};
  EXPECT_EQ(stops_in(Stopping(lower), {5, 4, 3, 2, 1}), 0u);
  EXPECT_EQ(stops_in(Stopping(lower), {5, 5, 5}), 3u);
  EXPECT_EQ(stops_in(Stopping(lower), {5, 6, 4, 6, 6}), 5u);
  const StopRules higher{.plateaus = {{.metric = "loss", .patience = 2}}};
  EXPECT_EQ(stops_in(Stopping(higher), {5, 4, 3}), 3u);
  EXPECT_EQ(stops_in(Stopping(higher), {3, 4, 5, 6}), 0u);
}

TEST(Stopping, ImprovementsNoLargerThanMinDeltaDoNotCount) {
  const StopRules rules{
      .plateaus = {{.metric = "loss", .patience = 3, .min_delta = 0.5, .better = Better::kLower}}};
  EXPECT_EQ(stops_in(Stopping(rules), {4, 3.75, 3.5, 3.49}), 0u);
  EXPECT_EQ(stops_in(Stopping(rules), {4, 3.75, 3.625, 3.5}), 4u);
}

TEST(Stopping, PlateauNamesTheBestRound) {
  Stopping stopping({.plateaus = {{.metric = "loss", .patience = 1, .better = Better::kLower}}});
  after(stopping, 3, loss(0.25));
  EXPECT_EQ(after(stopping, 4, loss(0.5)),
            "loss has not improved by more than 0 in 1 measurements; the best was 0.25 in round 3");
}

TEST(Stopping, NaNReachesNoTargetAndIsNoImprovement) {
  Stopping target({.targets = {{"loss", Compare::kAtMost, 1}, {"loss", Compare::kAtLeast, 1}}});
  EXPECT_EQ(after(target, 1, loss(NAN)), std::nullopt);
  const StopRules rules{.plateaus = {{.metric = "loss", .patience = 2, .better = Better::kLower}}};
  EXPECT_EQ(stops_in(Stopping(rules), {NAN, NAN}), 2u);
  EXPECT_EQ(stops_in(Stopping(rules), {NAN, 3, NAN, 2, NAN, NAN}), 6u);
}

TEST(Stopping, RoundsWithoutTheMetricAreNotMeasurements) {
  Stopping stopping({.plateaus = {{.metric = "loss", .patience = 2}}});
  after(stopping, 1, loss(1));
  for (uint64_t round = 2; round != 10; ++round)
    EXPECT_EQ(after(stopping, round, {}), std::nullopt);
  EXPECT_EQ(after(stopping, 10, loss(1)), std::nullopt);
  EXPECT_NE(after(stopping, 11, loss(1)), std::nullopt);
}

TEST(Stopping, AMetricThatNoRoundHasIsAnErrorInTheFirstEvaluatedRound) {
  Stopping stopping({.targets = {{"acuracy", Compare::kAtLeast, 0.5}}});
  const MetricRecord metrics{{"loss", 1.0}, {"accuracy", 0.9}};
  EXPECT_TRUE(stopping.after_round(1, metrics, /*evaluated=*/false).ok());
  const Status status = stopping.after_round(2, metrics).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(message_of(status),
            "stopping: no metric \"acuracy\" in round 2; there are: loss, accuracy; did you mean "
            "\"accuracy\"?");
}

TEST(Stopping, AListIsNoMetricToStopBy) {
  Stopping stopping({.plateaus = {{.metric = "loss"}}});
  EXPECT_EQ(message_of(stopping.after_round(1, {{"loss", std::vector<double>{1, 2}}}).status()),
            "stopping: metric \"loss\" is a list, expected one number");
}

TEST(Stopping, FailedRoundChangesNothing) {
  Stopping stopping({.plateaus = {{.metric = "a", .patience = 1}, {.metric = "b", .patience = 1}}});
  EXPECT_FALSE(stopping.after_round(1, {{"a", 5}}).ok());
  // Had the failed call counted a = 5, this 4 would be a plateau.
  EXPECT_EQ(after(stopping, 1, {{"a", 4}, {"b", 1}}), std::nullopt);
}

TEST(Stopping, AnyRuleOfAnyCombinationStops) {
  const StopRules rules{.rounds = 9,
                        .targets = {{"loss", Compare::kAtMost, 1}},
                        .plateaus = {{.metric = "loss", .patience = 3, .better = Better::kLower}}};
  EXPECT_EQ(stops_in(Stopping(rules), {5, 4, 0.5}), 3u);
  EXPECT_EQ(stops_in(Stopping(rules), {5, 5, 5, 5}), 4u);
  EXPECT_EQ(stops_in(Stopping(rules), {19, 18, 17, 16, 15, 14, 13, 12, 11}), 9u);
}

TEST(Stopping, ValidateNamesTheWrongRule) {
  const auto error = [](StopRules rules) {
    return message_of(Stopping(std::move(rules)).validate());
  };
  EXPECT_EQ(error({.rounds = 0}), "stopping: 0 rounds, expected at least 1");
  EXPECT_EQ(error({.targets = {{"", Compare::kAtLeast, 1}}}), "stopping: a rule without a metric");
  EXPECT_EQ(error({.targets = {{"loss", Compare::kAtLeast, NAN}}}),
            "stopping: metric \"loss\" against nan, expected a finite number");
  EXPECT_EQ(
      error({.plateaus = {{.metric = "loss", .patience = 0}}}),
      "stopping: plateau of \"loss\" with min_delta 0 and patience 0, expected at least 0 and "
      "1");
}

}  // namespace
}  // namespace umbel
