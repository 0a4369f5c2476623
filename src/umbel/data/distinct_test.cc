#include "umbel/data/distinct.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "umbel/base/statistics_test.h"
#include "umbel/data/label_mix.h"

namespace umbel::data {
namespace {

using testing_statistics::chi_square;
using testing_statistics::chi_square_limit;

constexpr uint64_t kSeed = 42;

TEST(Distinct, NumbersAreInRangeAndDifferent) {
  Rng rng(kSeed);
  for (uint64_t below = 1; below != 40; ++below) {
    for (uint64_t count = 0; count <= below; ++count) {
      std::vector<uint32_t> out{7};
      append_distinct(rng, below, count, out);
      ASSERT_EQ(out.size(), count + 1);
      EXPECT_EQ(out[0], 7u);
      const std::set<uint32_t> different(out.begin() + 1, out.end());
      EXPECT_EQ(different.size(), count);
      EXPECT_TRUE(different.empty() || *different.rbegin() < below);
    }
  }
}

TEST(Distinct, MoreThanThereAreComeEquallyOftenOrOnceMore) {
  Rng rng(kSeed);
  std::vector<uint32_t> out;
  append_distinct(rng, 5, 17, out);
  ASSERT_EQ(out.size(), 17u);
  for (uint32_t i = 0; i != 5; ++i) {
    const auto times = std::count(out.begin(), out.end(), i);
    EXPECT_TRUE(times == 3 || times == 4) << i;
  }
}

TEST(Distinct, EverySetIsEquallyLikely) {
  constexpr int kDraws = 60'000;
  for (uint64_t count : {2, 3, 4}) {  // of 6: by draws, by draws, by shuffle
    Rng rng(kSeed);
    std::map<std::set<uint32_t>, double> found;
    for (int i = 0; i != kDraws; ++i) {
      std::vector<uint32_t> out;
      append_distinct(rng, 6, count, out);
      ++found[{out.begin(), out.end()}];
    }
    const size_t sets = count == 3 ? 20 : 15;
    ASSERT_EQ(found.size(), sets);
    std::vector<double> counts;
    for (const auto& [set, times] : found) counts.push_back(times);
    EXPECT_LT(chi_square(counts, std::vector<double>(sets, kDraws / static_cast<double>(sets))),
              chi_square_limit(sets - 1))
        << "seed " << kSeed;
  }
}

TEST(WeightedDraw, FollowsTheWeightsAndNeverDrawsZero) {
  constexpr int kDraws = 100'000;
  for (size_t size : {1, 4, 32, 33, 500}) {
    std::vector<double> weights(size);
    for (size_t i = 0; i != size; ++i) weights[i] = i % 3 == 1 ? 0 : static_cast<double>(1 + i % 5);
    double sum = 0;
    for (const double weight : weights) sum += weight;
    const WeightedDraw draw(weights);
    Rng rng(kSeed);
    std::vector<double> counts(size, 0);
    for (int i = 0; i != kDraws; ++i) ++counts.at(draw(rng));
    std::vector<double> found;
    std::vector<double> expected;
    for (size_t i = 0; i != size; ++i) {
      if (weights[i] == 0) {
        EXPECT_EQ(counts[i], 0);
        continue;
      }
      found.push_back(counts[i]);
      expected.push_back(kDraws * weights[i] / sum);
    }
    if (found.size() > 1) {
      EXPECT_LT(chi_square(found, expected), chi_square_limit(found.size() - 1));
    }
  }
}

TEST(LabelMix, DependsOnSeedAndClientAlone) {
  EXPECT_EQ(label_mix(1, 5, 0.3, 10), label_mix(1, 5, 0.3, 10));
  EXPECT_NE(label_mix(1, 5, 0.3, 10), label_mix(1, 6, 0.3, 10));
  EXPECT_NE(label_mix(1, 5, 0.3, 10), label_mix(2, 5, 0.3, 10));
}

}  // namespace
}  // namespace umbel::data
