#include "umbel/supernode/backoff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace umbel::supernode {
namespace {

using std::chrono::milliseconds;

TEST(Backoff, EveryWaitIsFromHalfToAllOfItsStep) {
  Backoff backoff(7);
  milliseconds step = Backoff::kFirst;
  for (int i = 0; i != 12; ++i) {
    const auto wait = backoff.next(milliseconds(0));
    EXPECT_GE(wait, step / 2);
    EXPECT_LE(wait, step);
    step = std::min(step * 2, Backoff::kSoonMax);
  }
}

TEST(Backoff, AHubThatIsBackWithinAMinuteIsTriedEveryThreeSeconds) {
  Backoff backoff(7);
  for (int i = 0; i != 100; ++i) EXPECT_LE(backoff.next(milliseconds(59'999)), milliseconds(3'000));
}

TEST(Backoff, LaterItIsTriedEveryHalfMinute) {
  Backoff backoff(7);
  for (int i = 0; i != 20; ++i) backoff.next(milliseconds(0));
  for (int i = 0; i != 100; ++i) {
    const auto wait = backoff.next(milliseconds(60'000));
    EXPECT_GE(wait, milliseconds(15'000));
    EXPECT_LE(wait, milliseconds(30'000));
  }
}

TEST(Backoff, NodesOfDifferentSeedsDoNotComeAtOnce) {
  std::vector<milliseconds> waits;
  for (uint64_t seed = 0; seed != 1'000; ++seed) {
    Backoff backoff(seed);
    for (int i = 0; i != 6; ++i) backoff.next(milliseconds(0));
    waits.push_back(backoff.next(milliseconds(0)));
  }
  std::sort(waits.begin(), waits.end());
  // Spread over 1.5 s: the middle half of them lies in about half of that.
  EXPECT_NEAR((waits[750] - waits[250]).count(), 750, 100);
}

TEST(Backoff, ResetStartsAnew) {
  Backoff backoff(7);
  for (int i = 0; i != 20; ++i) backoff.next(milliseconds(0));
  backoff.reset();
  EXPECT_LE(backoff.next(milliseconds(0)), Backoff::kFirst);
}

}  // namespace
}  // namespace umbel::supernode
