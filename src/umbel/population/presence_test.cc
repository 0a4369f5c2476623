#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "umbel/base/rng.h"
#include "umbel/population/world.h"

namespace umbel {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Population make(PopulationOptions options, uint64_t clients, uint64_t seed = 1) {
  Result<Population> population = Population::make(std::move(options), clients, seed);
  EXPECT_TRUE(population.ok()) << population.status();
  return *std::move(population);
}

Population traced(std::string_view rows, TraceEnd end = TraceEnd::kRepeat, uint64_t clients = 10) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / fmt::format("presence_test_{}.csv", getpid());
  std::ofstream(file) << "client,start,end\n" << rows;
  Population population =
      make({.availability = Availability::kTrace, .trace = file, .trace_end = end}, clients);
  std::filesystem::remove(file);
  return population;
}

// Where the world's clock is once somebody is there.
VirtualTime awaited(World& world) {
  const Status status = world.await_anybody();
  EXPECT_TRUE(status.ok()) << status;
  return world.now();
}

TEST(Presence, AShortDailyWindowIsMetAtItsFirstMicrosecond) {
  const PopulationOptions options{
      .availability = Availability::kDaily, .day_hours = 0.25, .day_jitter_hours = 0};
  World world(make(options, 200));
  for (int day = 0; day != 40; ++day) {
    ASSERT_EQ(awaited(world), hours(22 + 24 * day));
    EXPECT_EQ(world.available(), 200u);
    EXPECT_EQ(world.population().stays_until(7, world.now()), world.now() + minutes(15));
    world.advance(minutes(15));
    EXPECT_EQ(world.available(), 0u);
  }
}

TEST(Presence, AWaitIsAsLongAsItIs) {
  World world(make({.availability = Availability::kDaily,
                    .day_from = 12,
                    .day_jitter_hours = 0,
                    .start_hour = 0},
                   3));
  EXPECT_EQ(awaited(world), hours(12));
  EXPECT_EQ(awaited(world), hours(12));  // somebody is there: no time passes
}

TEST(Presence, TimeZonesAndStartShiftTheWindow) {
  // From 22:00 at UTC-8 are 06:00 UTC; the run begins at 04:30.
  World world(make({.availability = Availability::kDaily,
                    .day_jitter_hours = 0,
                    .time_zones = {-8},
                    .start_hour = 4.5},
                   3));
  EXPECT_EQ(awaited(world), minutes(90));
}

TEST(Presence, TheFirstOfAllWhoComeIsAwaited) {
  const PopulationOptions options{
      .availability = Availability::kDaily, .day_from = 12, .day_hours = 2};
  World world(make(options, 1000));
  VirtualTime first = kVirtualTimeMax;
  for (uint64_t client = 0; client != 1000; ++client) {
    const auto arrival = world.population().next_arrival(client, VirtualTime(0));
    ASSERT_TRUE(arrival);
    EXPECT_GE(*arrival, hours(11));
    EXPECT_LT(*arrival, hours(13));
    EXPECT_FALSE(world.population().available(client, *arrival - microseconds(1)));
    EXPECT_TRUE(world.population().available(client, *arrival));
    first = std::min(first, *arrival);
  }
  EXPECT_EQ(awaited(world), first);
  EXPECT_EQ(world.available(), 1u);
}

TEST(Presence, TracesAreAwaitedToTheMicrosecond) {
  World far(traced("0,0,60\n0,36000,36060\n"));
  EXPECT_EQ(awaited(far), seconds(0));
  far.advance(seconds(61));
  EXPECT_EQ(awaited(far), seconds(36'000));
  far.advance(seconds(60));  // the trace begins again at its end
  EXPECT_EQ(awaited(far), seconds(36'060));
  far.advance(seconds(60));
  EXPECT_EQ(awaited(far), seconds(72'060));

  std::string rows;
  for (int i = 0; i != 50; ++i) rows += fmt::format("3,{},{}\n", 200 * i + 100, 200 * i + 200);
  World often(traced(rows, TraceEnd::kStop));
  for (int i = 0; i != 50; ++i) {
    ASSERT_EQ(awaited(often), seconds(200 * i + 100));
    EXPECT_EQ(often.population().stays_until(3, often.now()), seconds(200 * i + 200));
    often.advance(seconds(100));
  }
  EXPECT_EQ(often.await_anybody().code(), absl::StatusCode::kOutOfRange);
}

TEST(Presence, AClientOfATraceComesNextWhenItsRowsSay) {
  constexpr std::string_view kRows = "0,5,10\n2,20,30\n0,15,18\n";
  const Population repeats = traced(kRows), stops = traced(kRows, TraceEnd::kStop);
  EXPECT_EQ(repeats.next_arrival(0, seconds(0)), seconds(5));
  EXPECT_EQ(repeats.next_arrival(0, seconds(7)), seconds(7));
  EXPECT_EQ(repeats.next_arrival(0, seconds(10)), seconds(15));
  EXPECT_EQ(repeats.next_arrival(0, seconds(18)), seconds(35));
  EXPECT_EQ(repeats.next_arrival(0, seconds(18), seconds(34)), std::nullopt);
  EXPECT_EQ(repeats.next_arrival(2, seconds(330)), seconds(350));
  EXPECT_EQ(repeats.next_arrival(1, seconds(0)), std::nullopt);
  EXPECT_EQ(repeats.next_arrival(3, seconds(0)), std::nullopt);
  EXPECT_EQ(stops.next_arrival(0, seconds(10)), seconds(15));
  EXPECT_EQ(stops.next_arrival(0, seconds(18)), std::nullopt);
}

// Sessions are independent draws, so the number that a client waits for is geometric.
TEST(Presence, SessionsAreAwaitedAsLongAsTheirShareSays) {
  constexpr double kShare = 0.1;
  const Population population =
      make({.availability = Availability::kProbability, .available_share = kShare}, 20'000);
  double sum = 0, away = 0;
  for (uint64_t client = 0; client != population.clients(); ++client) {
    if (population.available(client, hours(5))) continue;
    const auto arrival = population.next_arrival(client, hours(5));
    ASSERT_TRUE(arrival);
    EXPECT_FALSE(population.available(client, *arrival - microseconds(1)));
    EXPECT_TRUE(population.available(client, *arrival));
    sum += seconds_of(*arrival - hours(5)) / 3600;
    ++away;
  }
  // Half a session in the mean until the next one, then 1/share - 1 that it does not come to.
  const double variance = (1 - kShare) / (kShare * kShare) + 1.0 / 12;
  EXPECT_NEAR(sum / away, 0.5 + 1 / kShare - 1, 4 * std::sqrt(variance / away));
}

TEST(Presence, WhoIsAlwaysThereNeverLeaves) {
  const auto stays = [](const Population& population, VirtualTime now) {
    return population.stays_until(0, now);
  };
  const Population drawn = make({.availability = Availability::kProbability}, 10);
  EXPECT_EQ(stays(drawn, hours(3)), VirtualTime::max());
  const Population daily = make({.availability = Availability::kDaily, .day_hours = 24}, 10);
  EXPECT_EQ(stays(daily, hours(3)), VirtualTime::max());
  const Population trace = traced("0,0,40\n0,40,100\n1,5,100\n");
  EXPECT_EQ(stays(trace, seconds(20)), VirtualTime::max());
  EXPECT_EQ(stays(trace, seconds(99)), VirtualTime::max());
  EXPECT_EQ(trace.stays_until(1, seconds(20)), seconds(100));
  EXPECT_EQ(stays(traced("0,0,100\n", TraceEnd::kStop), seconds(99)), seconds(100));
  for (const Population* population : {&drawn, &daily, &trace}) {
    const PopulationOptions& options = population->options();
    EXPECT_EQ(population->outcome(0, hours(23), {}, {}, 1).kind, Outcome::Kind::kReplied)
        << name_of(options.availability);
  }
}

TEST(Presence, OnlyTheRowsUpToTheHorizonAreLookedAt) {
  std::string rows;
  for (int i = 0; i != 100; ++i) rows += fmt::format("0,{},{}\n", 10 * i, 10 * i + 10);
  const Population population = traced(rows);
  EXPECT_EQ(population.stays_until(0, seconds(3), seconds(25)), seconds(30));
  EXPECT_EQ(population.stays_until(0, seconds(3), seconds(30)), seconds(40));
  EXPECT_EQ(population.stays_until(0, seconds(1993), seconds(2025)), seconds(2030));
  EXPECT_EQ(population.stays_until(0, seconds(3)), VirtualTime::max());
}

TEST(Presence, WorkOverMidnightIsDoneWhereTheDayHasNoEnd) {
  const Population population = make({.availability = Availability::kDaily,
                                      .day_hours = 24,
                                      .day_jitter_hours = 0,
                                      .seconds_per_example = 3600},
                                     10);
  const Outcome outcome = population.outcome(0, hours(21), {0, 30, 0}, {}, 1);
  EXPECT_EQ(outcome.kind, Outcome::Kind::kReplied);
  EXPECT_EQ(outcome.took, hours(30));
}

TEST(Presence, ConsecutiveDaysAreOneStay) {
  const Population population = make({.availability = Availability::kDaily,
                                      .available_share = 0.5,
                                      .day_from = 0,
                                      .day_hours = 24,
                                      .day_jitter_hours = 0},
                                     2000);
  double days = 0, there = 0;
  for (uint64_t client = 0; client != population.clients(); ++client) {
    const auto until = population.stays_until(client, hours(0));
    if (!until) continue;
    ASSERT_EQ(*until % hours(24), VirtualTime(0));
    EXPECT_TRUE(population.available(client, *until - microseconds(1)));
    EXPECT_FALSE(population.available(client, *until));
    days += static_cast<double>(*until / hours(24));
    ++there;
  }
  EXPECT_NEAR(days / there, 2, 4 * std::sqrt(2 / there));  // geometric
}

TEST(Presence, AStayIsAsLongAsItsSessionsHoweverMany) {
  const Population population =
      make({.availability = Availability::kProbability, .available_share = 0.9999}, 100);
  double sum = 0;
  for (uint64_t client = 0; client != 100; ++client) {
    const auto until = population.stays_until(client, VirtualTime(0));
    if (until) sum += seconds_of(*until) / 3600;
    // Where only the next hours matter, no more of them are looked at: it is some time after.
    const auto soon = population.stays_until(client, VirtualTime(0), hours(5));
    EXPECT_EQ(!!soon, !!until);
    if (soon && *until > hours(5)) {
      EXPECT_GT(*soon, hours(5));
      EXPECT_LE(*soon, hours(6));
    }
  }
  EXPECT_NEAR(sum / 100, 10'000, 4 * 10'000 / std::sqrt(100.0));
}

TEST(World, VirtualTimeEndsWithAReason) {
  for (const auto kind : {Availability::kAlways, Availability::kDaily}) {
    World world(make({.availability = kind}, 20));
    world.advance(kVirtualTimeMax - hours(1));
    (void)world.await_anybody();
    world.advance(VirtualTime::max() / 2);
    EXPECT_EQ(world.now(), kVirtualTimeMax);
    const Status over = world.await_anybody();
    EXPECT_EQ(over.code(), absl::StatusCode::kOutOfRange);
    EXPECT_EQ(message_of(over), "virtual time ends after 10000000000 s, 317 years");
  }
}

TEST(World, AWaitThatFailsLetsNoTimePass) {
  World never(make({.availability = Availability::kProbability, .available_share = 0}, 100));
  never.advance(hours(7));
  EXPECT_EQ(never.await_anybody().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(never.now(), hours(7));
  // A gap of 31 days is waited for, one of a second more is not.
  const int days = 31 * 24 * 3600;
  World just(traced(fmt::format("0,{},{}\n", days, days + 9)));
  EXPECT_EQ(awaited(just), seconds(days));
  World longer(traced(fmt::format("0,{},{}\n", days + 1, days + 9)));
  EXPECT_EQ(longer.await_anybody().code(), absl::StatusCode::kUnavailable);
}

TEST(World, ALargePopulationsFirstIsThatOfManyDrawn) {
  const PopulationOptions options{.availability = Availability::kDaily, .day_from = 12};
  World world(make(options, uint64_t{1} << 40)), same(make(options, uint64_t{1} << 40));
  EXPECT_EQ(awaited(world), awaited(same));
  // The least of 2^20 uniform numbers in two hours: seconds after the first that can come.
  EXPECT_GE(world.now(), hours(11));
  EXPECT_LE(world.now(), hours(11) + seconds(1));
}

// The minimum over everybody is what a loop over all windows finds.
TEST(Cycle, AgreesWithALoopOverTime) {
  const uint64_t seed = 20'240'117;
  SCOPED_TRACE(seed);
  Rng rng(seed);
  for (int i = 0; i != 300; ++i) {
    const auto length = static_cast<int64_t>(rng.below(9) + 1);
    const auto window = static_cast<int64_t>(rng.below(static_cast<uint64_t>(length)) + 1);
    const Cycle cycle{.length = VirtualTime(length),
                      .window = VirtualTime(window),
                      .offset = VirtualTime(rng.below(30)),
                      .share = rng.uniform(),
                      .seed = seed,
                      .client = rng.below(100),
                      .purpose = 1};
    const VirtualTime now(rng.below(100)), horizon = now + VirtualTime(rng.below(60));
    std::optional<VirtualTime> next;
    for (VirtualTime t = now; t <= horizon && !next; ++t) {
      if (cycle.there(t)) next = t;
    }
    EXPECT_EQ(cycle.next(now, horizon), next);
    if (!next) continue;
    VirtualTime left = *next;
    while (left <= horizon && cycle.there(left)) ++left;
    const VirtualTime until = cycle.stays_until(*next, horizon);
    if (left <= horizon) {
      EXPECT_EQ(until, left);
    } else {
      EXPECT_GT(until, horizon);
    }
  }
}

}  // namespace
}  // namespace umbel
