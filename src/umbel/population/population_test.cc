#include "umbel/population/population.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <numbers>

#include "umbel/population/world.h"

namespace umbel {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

Population make(PopulationOptions options, uint64_t clients = 10'000, uint64_t seed = 1) {
  Result<Population> population = Population::make(std::move(options), clients, seed);
  EXPECT_TRUE(population.ok()) << population.status();
  return *std::move(population);
}

double share_available(const Population& population, VirtualTime now) {
  double there = 0;
  for (uint64_t i = 0; i != population.clients(); ++i) there += population.available(i, now);
  return there / static_cast<double>(population.clients());
}

std::string error_of(const PopulationOptions& options) {
  return message_of(Population::make(options, 10, 1).status());
}

TEST(Population, DefaultsAreThereAlwaysAndTakeNoTime) {
  const Population population = make({});
  EXPECT_EQ(share_available(population, hours(1000)), 1);
  const Outcome outcome = population.outcome(3, seconds(5), {1000, 100, 1000}, {}, 1);
  EXPECT_EQ(outcome.kind, Outcome::Kind::kReplied);
  EXPECT_EQ(outcome.took, VirtualTime(0));
}

TEST(Population, DurationIsTheSumOfItsParts) {
  const Population population =
      make({.down_mbits = 8, .up_mbits = 2, .latency_seconds = 0.25, .seconds_per_example = 0.01});
  // 0.25 + 1 MB at 8 Mbit/s + 300 examples + 1 MB at 2 Mbit/s.
  EXPECT_EQ(population.duration(7, {}, {1'000'000, 300, 1'000'000}),
            virtual_time(0.25 + 1 + 3 + 4));
}

TEST(Population, SpeedsAreLogNormalWithMedianOne) {
  constexpr double kSpread = 0.5;
  const Population population = make({.speed_spread = kSpread, .seconds_per_example = 1}, 40'000);
  double sum = 0, squares = 0;
  int below = 0;
  for (uint64_t i = 0; i != population.clients(); ++i) {
    const double x = std::log(population.rates(i, {}).speed);
    sum += x;
    squares += x * x;
    below += x < -kSpread;  // one standard deviation: 15.866 %
  }
  EXPECT_NEAR(sum / 40'000, 0, 4 * kSpread / 200);
  EXPECT_NEAR(squares / 40'000, kSpread * kSpread, 4 * kSpread * kSpread * std::sqrt(2 / 40'000.0));
  EXPECT_NEAR(below, 0.158655 * 40'000, 4 * std::sqrt(40'000 * 0.158655 * 0.841345));
}

TEST(Population, TheSeedAndTheNumberDecideEverything) {
  const PopulationOptions options{.availability = Availability::kProbability,
                                  .available_share = 0.5,
                                  .speed_spread = 1,
                                  .seconds_per_example = 1,
                                  .attributes = {{"kind", {"a", "b"}, {0.5, 0.5}}}};
  const Population one = make(options), same = make(options), other = make(options, 10'000, 2);
  int different = 0;
  for (uint64_t i = 0; i != 100; ++i) {
    EXPECT_EQ(one.rates(i, {}).speed, same.rates(i, {}).speed);
    EXPECT_EQ(one.stays_until(i, hours(5)), same.stays_until(i, hours(5)));
    EXPECT_EQ(one.category(i, 0), same.category(i, 0));
    different += one.category(i, 0) != other.category(i, 0);
  }
  EXPECT_GT(different, 20);
}

TEST(Population, ProbabilityIsTheShareOfClientsAtAnyTime) {
  const Population population =
      make({.availability = Availability::kProbability, .available_share = 0.3});
  for (const VirtualTime now : {VirtualTime(0), VirtualTime(minutes(90)), VirtualTime(hours(77))}) {
    EXPECT_NEAR(share_available(population, now), 0.3, 4 * std::sqrt(0.21 / 10'000));
  }
}

TEST(Population, WhoIsThereStaysUntilItSays) {
  for (const Availability kind : {Availability::kProbability, Availability::kDaily}) {
    const Population population = make({.availability = kind, .available_share = 0.5});
    int there = 0;
    for (uint64_t i = 0; i != 300; ++i) {
      const auto until = population.stays_until(i, hours(1));
      if (!until) continue;
      ++there;
      EXPECT_GT(*until, hours(1));
      EXPECT_TRUE(population.available(i, *until - seconds(1)));
      EXPECT_FALSE(population.available(i, *until + seconds(1)));
    }
    EXPECT_GT(there, 50);
  }
}

// A window of 8 hours from 22:00, spread evenly by up to 2 hours: the share of clients there is a
// trapezium over the day.
TEST(Population, ADailyCycleHasItsShapeAndItsTimeZone) {
  PopulationOptions options{
      .availability = Availability::kDaily, .day_from = 22, .day_hours = 8, .day_jitter_hours = 2};
  const auto share_at = [&](double hour) {
    return share_available(make(options), virtual_time(hour * 3600));
  };
  EXPECT_EQ(share_at(12), 0);
  EXPECT_NEAR(share_at(21), 0.25, 0.02);
  EXPECT_NEAR(share_at(22), 0.5, 0.02);
  EXPECT_EQ(share_at(24 + 1), 1);
  EXPECT_NEAR(share_at(24 + 7), 0.25, 0.02);
  options.start_hour = 12;
  EXPECT_NEAR(share_at(10), 0.5, 0.02);
  options.time_zones = {-10, 14};  // the same hour of another day
  EXPECT_EQ(share_at(24), share_at(24));
  EXPECT_NEAR(share_at(20), 0.5, 0.02);
  options.available_share = 0.4;
  EXPECT_NEAR(share_at(24 - 1 + 0.0), 0.4, 0.02);
}

TEST(Population, AttributesHaveTheirShares) {
  const Population population =
      make({.attributes = {{"gender", {"men", "women"}, {0.97, 0.03}},
                           {"region", {"n", "none", "s"}, {0.5, 0, 0.5}}}});
  int women = 0, none = 0, both = 0;
  for (uint64_t i = 0; i != 10'000; ++i) {
    women += population.category(i, 0) == 1;
    none += population.category(i, 1) == 1;
    both += population.category(i, 0) == 1 && population.category(i, 1) == 0;
  }
  EXPECT_NEAR(women, 300, 4 * std::sqrt(10'000 * 0.97 * 0.03));
  EXPECT_EQ(none, 0);
  EXPECT_NEAR(both, 150, 4 * std::sqrt(150.0));  // one attribute says nothing of another
  EXPECT_EQ(population.settings(0).text("gender"),
            population.attributes()[0].categories[population.category(0, 0)]);
}

TEST(Population, DropoutIsItsProbabilityAndEndsWithinTheWork) {
  const Population population = make({.seconds_per_example = 1, .dropout = 0.2});
  int left = 0;
  double sum = 0;
  for (uint64_t draw = 0; draw != 10'000; ++draw) {
    const Outcome outcome = population.outcome(1, {}, {0, 10, 0}, {}, draw);
    if (outcome.kind == Outcome::Kind::kReplied) {
      EXPECT_EQ(outcome.took, seconds(10));
      continue;
    }
    ++left;
    EXPECT_LT(outcome.took, seconds(10));
    sum += seconds_of(outcome.took);
  }
  EXPECT_NEAR(left, 2000, 160);  // 4 standard errors
  EXPECT_NEAR(sum / left, 5, 4 * 10 / std::sqrt(12.0 * left));
}

TEST(Population, WhoeverGoesOrIsLateDoesNotCount) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / fmt::format("population_test_{}.csv", getpid());
  std::ofstream(file) << "client,start,end\n0,0,8\n1,0,100\n";
  const Population population =
      make({.availability = Availability::kTrace, .trace = file, .seconds_per_example = 1}, 10);
  std::filesystem::remove(file);
  const Work work{0, 10, 0};
  EXPECT_EQ(population.outcome(0, {}, work, {}, 1).kind, Outcome::Kind::kLeft);
  EXPECT_EQ(population.outcome(0, {}, work, {}, 1).took, seconds(8));
  EXPECT_EQ(population.outcome(0, {}, work, seconds(5), 1).kind, Outcome::Kind::kLate);
  EXPECT_EQ(population.outcome(1, {}, work, seconds(5), 1).took, seconds(5));
  EXPECT_EQ(population.outcome(1, {}, work, seconds(10), 1).kind, Outcome::Kind::kReplied);
  EXPECT_EQ(population.outcome(2, {}, work, {}, 1).kind, Outcome::Kind::kLeft);
}

TEST(Population, BadOptionsAreRefusedByKeyAndValue) {
  EXPECT_EQ(error_of({.dropout = 1.5}), "population: dropout: expected 0 to 1, got 1.5");
  EXPECT_EQ(error_of({.available_share = NAN}),
            "population: available-share: expected 0 to 1, got nan");
  EXPECT_EQ(error_of({.availability = Availability::kTrace}),
            "population: trace: missing: availability = \"trace\" needs a file");
  EXPECT_THAT(error_of({.trace = "x.csv"}), testing::HasSubstr("needs availability = \"trace\""));
  EXPECT_EQ(error_of({.attributes = {{"g", {"a", "b"}, {0.5, 0.4}}}}),
            "population: attributes.g: the shares sum to 0.9, expected 1");
  EXPECT_THAT(error_of({.attributes = {{"g", {"a", "a"}, {0.5, 0.5}}}}),
              testing::HasSubstr("a name of its own"));
  EXPECT_THAT(error_of({.attributes = {{"partition-id", {"a"}, {1}}}}),
              testing::HasSubstr("has a meaning already"));
}

TEST(Population, KeysWithoutEffectAreRefusedWithWhatTheyNeed) {
  const auto daily = Availability::kDaily, drawn = Availability::kProbability;
  EXPECT_EQ(
      error_of({.available_share = 0.5}),
      "population: available-share: it has no effect without availability = \"probability\" or "
      "\"daily\"");
  EXPECT_EQ(error_of({.availability = daily, .session_hours = 2}),
            "population: session-hours: it has no effect without availability = \"probability\"");
  const std::string needs_daily = ": it has no effect without availability = \"daily\"";
  EXPECT_EQ(error_of({.availability = drawn, .day_from = 1}), "population: day-from" + needs_daily);
  EXPECT_EQ(error_of({.day_hours = 1}), "population: day-hours" + needs_daily);
  EXPECT_EQ(error_of({.day_jitter_hours = 0}), "population: day-jitter-hours" + needs_daily);
  EXPECT_EQ(error_of({.time_zones = {1}}), "population: time-zones" + needs_daily);
  EXPECT_EQ(error_of({.start_hour = 1}), "population: start-hour" + needs_daily);
  const std::string needs_trace = ": it has no effect without availability = \"trace\" and trace";
  EXPECT_EQ(error_of({.trace_end = TraceEnd::kStop}), "population: trace-end" + needs_trace);
  EXPECT_EQ(error_of({.availability = daily, .trace_reuse = true}),
            "population: trace-reuse" + needs_trace);
  EXPECT_EQ(error_of({.bandwidth_spread = 1}),
            "population: bandwidth-spread: it has no effect without down-mbits or up-mbits");
  EXPECT_EQ(error_of({.latency_spread = 1}),
            "population: latency-spread: it has no effect without latency-seconds");
  EXPECT_EQ(error_of({.speed_spread = 1}),
            "population: speed-spread: it has no effect without seconds-per-example");
  for (const PopulationOptions& used :
       {PopulationOptions{.availability = drawn, .available_share = 0.5, .session_hours = 2},
        PopulationOptions{.availability = daily, .available_share = 0.5, .day_from = 1},
        PopulationOptions{.up_mbits = 1, .bandwidth_spread = 1},
        PopulationOptions{.latency_seconds = 1, .latency_spread = 1},
        PopulationOptions{.speed_spread = 1, .seconds_per_example = 1}}) {
    EXPECT_EQ(error_of(used), "");
  }
}

TEST(World, TimePassesUntilSomebodyIsThere) {
  World world(make({.availability = Availability::kDaily, .day_from = 20, .day_jitter_hours = 0}));
  world.advance(hours(9));
  EXPECT_EQ(world.available(), 0u);
  EXPECT_TRUE(world.await_anybody().ok());
  EXPECT_GE(world.now(), hours(20));
  EXPECT_LE(world.now(), hours(22));
  EXPECT_EQ(world.available(), 10'000u);
}

TEST(World, NobodyEverIsAnErrorAndNotAnEndlessWait) {
  World world(make({.availability = Availability::kProbability, .available_share = 0}, 100));
  EXPECT_EQ(world.await_anybody().code(), absl::StatusCode::kUnavailable);
}

TEST(World, ALargePopulationsAvailableClientsAreEstimated) {
  World world(make({.availability = Availability::kProbability, .available_share = 0.25},
                   uint64_t{1} << 40));
  const double share = static_cast<double>(world.available()) / 0x1p40;
  EXPECT_NEAR(share, 0.25, 4 * std::sqrt(0.1875 / 16'384));
  EXPECT_TRUE(world.await_anybody().ok());
}

}  // namespace
}  // namespace umbel
