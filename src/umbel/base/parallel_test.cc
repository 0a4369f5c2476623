#include "umbel/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <limits>
#include <stdexcept>
#include <vector>

namespace umbel {
namespace {

TEST(ThreadTeam, RunsEachPieceOnce) {
  for (size_t threads : {0, 1, 2, 5}) {
    ThreadTeam team(threads);
    for (size_t count : {0, 1, 2, 3, 1000}) {
      std::vector<std::atomic<int>> runs(count);
      team.for_each(count, [&](size_t i) { ++runs[i]; });
      for (size_t i = 0; i != count; ++i) EXPECT_EQ(runs[i], 1) << i;
    }
  }
}

TEST(ThreadTeam, CountsTheCallerAsOneOfItsThreads) {
  EXPECT_EQ(ThreadTeam(3).threads(), 3u);
  EXPECT_EQ(ThreadTeam(0).threads(), 1u);
}

TEST(ThreadTeam, RunsAsManyPiecesAtOnceAsItHasThreads) {
  ThreadTeam team(3);
  std::barrier meeting(3);  // ends only if three pieces are under way together
  team.for_each(3, [&](size_t) { meeting.arrive_and_wait(); });
}

TEST(ThreadTeam, ManyShortJobsFollowOneAnother) {
  ThreadTeam team(3);
  std::atomic<size_t> sum{0};
  for (size_t job = 0; job != 2000; ++job) {
    team.for_each(5, [&](size_t i) { sum += i; });
  }
  EXPECT_EQ(sum, 2000u * 10);
}

TEST(ThreadTeam, ExceptionComesOutAfterTheOtherPiecesAndTheTeamGoesOn) {
  for (size_t threads : {1, 3}) {
    ThreadTeam team(threads);
    std::atomic<int> runs{0};
    const auto piece = [&](size_t i) {
      ++runs;
      if (i == 3) throw std::runtime_error("three");
    };
    EXPECT_THROW(team.for_each(50, piece), std::runtime_error);
    EXPECT_EQ(runs, 50);
    EXPECT_NO_THROW(team.for_each(3, piece));
    EXPECT_EQ(runs, 53);
  }
}

TEST(Serial, RunsInOrderOnTheCallersThread) {
  Serial serial;
  std::vector<size_t> seen;
  serial.for_each(4, [&](size_t i) { seen.push_back(i); });
  EXPECT_EQ(seen, (std::vector<size_t>{0, 1, 2, 3}));
  EXPECT_EQ(serial.threads(), 1u);
}

TEST(Serial, ExceptionComesOutAfterTheOtherPieces) {
  Serial serial;
  int runs = 0;
  EXPECT_THROW(serial.for_each(5,
                               [&](size_t i) {
                                 ++runs;
                                 if (i == 1) throw std::runtime_error("one");
                               }),
               std::runtime_error);
  EXPECT_EQ(runs, 5);
}

#if defined(__SSE2__)
double halved_smallest() {
  const volatile double smallest = std::numeric_limits<double>::min();
  const volatile double half = 0.5;
  return smallest * half;
}

TEST(DenormalMode, HoldsForItsLife) {
  const DenormalMode outer(DenormalMode::kExact);
  EXPECT_GT(halved_smallest(), 0);
  {
    const DenormalMode inner(DenormalMode::kFlush);
    EXPECT_EQ(DenormalMode::current(), DenormalMode::kFlush);
    EXPECT_EQ(halved_smallest(), 0);
  }
  EXPECT_EQ(DenormalMode::current(), DenormalMode::kExact);
  EXPECT_GT(halved_smallest(), 0);
}

TEST(ThreadTeam, PiecesHaveTheCallersDenormalModeOnEveryThread) {
  ThreadTeam team(3);
  for (const auto mode : {DenormalMode::kFlush, DenormalMode::kExact, DenormalMode::kFlush}) {
    const DenormalMode caller(mode);
    std::barrier meeting(3);  // so that each thread has one of the pieces
    std::vector<double> found(3);
    team.for_each(3, [&](size_t i) {
      meeting.arrive_and_wait();
      found[i] = halved_smallest();
    });
    for (const double value : found) EXPECT_EQ(value > 0, mode == DenormalMode::kExact);
  }
}
#endif

TEST(Processors, ThereIsAtLeastOne) { EXPECT_GE(available_processors(), 1u); }

}  // namespace
}  // namespace umbel
