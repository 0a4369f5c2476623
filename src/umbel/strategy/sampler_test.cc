#include "umbel/strategy/sampler.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace umbel {
namespace {

using Ids = std::vector<uint64_t>;

Ids sample(const Sampler& sampler, uint64_t population, uint64_t seed) {
  const Result<Ids> ids = sampler.sample(population, seed);
  EXPECT_TRUE(ids.ok()) << ids.status();
  return ids.ok() ? *ids : Ids();
}

std::string error(const Sampler& sampler, uint64_t population) {
  return message_of(sampler.sample(population, 1).status());
}

RC_GTEST_PROP(Sampler, CountDrawsSoManyDistinctClientsInOrder, ()) {
  const auto population = *rc::gen::inRange<uint64_t>(1, 5000);
  const auto clients = *rc::gen::inRange<uint64_t>(0, population + 1);
  const Ids ids = sample(Sampler::count(clients), population, *rc::gen::arbitrary<uint64_t>());
  RC_ASSERT(ids.size() == clients);
  RC_ASSERT(std::ranges::is_sorted(ids));
  RC_ASSERT(std::set<uint64_t>(ids.begin(), ids.end()).size() == clients);
  RC_ASSERT((ids.empty() || ids.back() < population));
}

RC_GTEST_PROP(Sampler, PoissonDrawsDistinctClientsInOrder, ()) {
  const auto population = *rc::gen::inRange<uint64_t>(1, 5000);
  const double probability = *rc::gen::inRange(0, 1001) / 1000.0;
  const Ids ids =
      sample(Sampler::poisson(probability), population, *rc::gen::arbitrary<uint64_t>());
  RC_ASSERT(std::ranges::is_sorted(ids));
  RC_ASSERT(std::set<uint64_t>(ids.begin(), ids.end()).size() == ids.size());
  RC_ASSERT((ids.empty() || ids.back() < population));
}

TEST(Sampler, SeedDecidesTheDraw) {
  for (const Sampler& sampler :
       {Sampler::count(20), Sampler::fraction(0.1), Sampler::poisson(0.1)}) {
    EXPECT_EQ(sample(sampler, 1000, 7), sample(sampler, 1000, 7)) << sampler.describe();
    EXPECT_NE(sample(sampler, 1000, 7), sample(sampler, 1000, 8)) << sampler.describe();
  }
}

TEST(Sampler, EverySubsetIsEquallyLikely) {
  constexpr int kDraws = 30000;
  std::map<Ids, int> drawn;
  for (int seed = 0; seed != kDraws; ++seed) ++drawn[sample(Sampler::count(3), 6, seed)];
  ASSERT_EQ(drawn.size(), 20u);  // 6 choose 3
  double chi_square = 0;
  for (const auto& [ids, times] : drawn) {
    chi_square += (times - kDraws / 20.0) * (times - kDraws / 20.0) / (kDraws / 20.0);
  }
  EXPECT_LT(chi_square, 43.8);  // the 99.9 % point of 19 degrees of freedom
}

TEST(Sampler, PoissonSizeHasTheBinomialMeanAndVariance) {
  constexpr int kDraws = 20000;
  double sum = 0, squares = 0;
  int first = 0, last = 0;
  for (int seed = 0; seed != kDraws; ++seed) {
    const Ids ids = sample(Sampler::poisson(0.03), 1000, seed);
    const auto size = static_cast<double>(ids.size());
    sum += size;
    squares += size * size;
    first += !ids.empty() && ids.front() == 0;
    last += !ids.empty() && ids.back() == 999;
  }
  const double mean = sum / kDraws;
  EXPECT_NEAR(mean, 30, 0.16);                             // 4 standard errors
  EXPECT_NEAR(squares / kDraws - mean * mean, 29.1, 1.2);  // 4 standard errors
  EXPECT_NEAR(first, 600, 97);
  EXPECT_NEAR(last, 600, 97);
}

TEST(Sampler, CostsTheCohortNotThePopulation) {
  constexpr uint64_t kPopulation = uint64_t{1} << 53;  // a loop over it would not end
  EXPECT_EQ(sample(Sampler::count(1000), kPopulation, 1).size(), 1000u);
  EXPECT_NEAR(static_cast<double>(sample(Sampler::poisson(0x1p-43), kPopulation, 1).size()), 1024,
              160);
}

TEST(Sampler, FractionIsRoundedToTheNearestCount) {
  EXPECT_EQ(sample(Sampler::fraction(0.29), 100, 1).size(), 29u);  // 0.29 * 100 < 29 in binary
  EXPECT_EQ(sample(Sampler::fraction(0.1), 1000, 1).size(), 100u);
  EXPECT_EQ(sample(Sampler::fraction(0.001), 100, 1).size(), 1u);
  EXPECT_EQ(sample(Sampler::fraction(0.001, 5), 100, 1).size(), 5u);
  EXPECT_EQ(sample(Sampler::fraction(0, 0), 100, 1).size(), 0u);
}

TEST(Sampler, CertaintyPicksEverybodyAndImpossibilityNobody) {
  const Ids everybody = {0, 1, 2, 3};
  EXPECT_EQ(sample(Sampler::all(), 4, 1), everybody);
  EXPECT_EQ(sample(Sampler::count(4), 4, 1), everybody);
  EXPECT_EQ(sample(Sampler::fraction(1), 4, 1), everybody);
  EXPECT_EQ(sample(Sampler::poisson(1), 4, 1), everybody);
  EXPECT_EQ(sample(Sampler::poisson(0), 4, 1), Ids());
  EXPECT_EQ(sample(Sampler::none(), 4, 1), Ids());
}

TEST(Sampler, OnlySamplersThatNeverPickAreSaidToPickNobody) {
  EXPECT_TRUE(Sampler::none().picks_nobody());
  EXPECT_TRUE(Sampler::poisson(0).picks_nobody());
  EXPECT_TRUE(Sampler::fraction(0, 0).picks_nobody());
  EXPECT_FALSE(Sampler::fraction(0).picks_nobody());
  EXPECT_FALSE(Sampler::poisson(1e-9).picks_nobody());
  EXPECT_FALSE(Sampler::all().picks_nobody());
}

TEST(Sampler, ErrorsNameTheRuleAndThePopulation) {
  EXPECT_EQ(
      error(Sampler::count(100), 50),
      "sampler: count 100 of a population of 50: ask fewer clients, or raise the number of nodes");
  EXPECT_EQ(error(Sampler::fraction(0.1, 20), 10),
            "sampler: fraction 0.1, at least 20 of a population of 10: ask fewer clients, or raise "
            "the number of nodes");
  EXPECT_EQ(error(Sampler::fraction(1.5), 10),
            "sampler: fraction 1.5, at least 1, expected a share from 0 to 1");
  EXPECT_EQ(error(Sampler::poisson(-0.5), 10),
            "sampler: poisson -0.5, expected a share from 0 to 1");
  EXPECT_EQ(error(Sampler::poisson(NAN), 10), "sampler: poisson nan, expected a share from 0 to 1");
  EXPECT_EQ(error(Sampler::all(), 0), "sampler: the population is empty");
  EXPECT_EQ(error(Sampler::count(1), UINT64_MAX),
            "sampler: a population of 18446744073709551615, at most 2^53 is possible");
  EXPECT_EQ(error(Sampler::all(), 1'000'000'000),
            "sampler: all of a population of 1000000000 are 1000000000 clients, at most 2^28 fit");
}

}  // namespace
}  // namespace umbel
