#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "umbel/base/rng.h"
#include "umbel/strategy/draw.h"
#include "umbel/strategy/sampler.h"

namespace umbel {
namespace {

using Ids = std::vector<uint64_t>;
using testing::HasSubstr;

// Two attributes; the category of a client is what its number says.
class FakeTraits final : public Traits {
 public:
  FakeTraits()
      : attributes_{{"gender", {"men", "women"}, {0.9, 0.1}},
                    {"size", {"s", "m", "l"}, {0.5, 0.3, 0.2}}} {}
  std::span<const Attribute> attributes() const override { return attributes_; }
  size_t category(uint64_t client, size_t attribute) const override {
    const uint64_t digit = client % 10;
    if (attribute == 0) return digit == 0 ? 1 : 0;
    return digit < 5 ? 0 : digit < 8 ? 1 : 2;
  }

 private:
  std::vector<Attribute> attributes_;
};

const FakeTraits kTraits;

Sampler::Drawn draw(const Sampler& sampler, const Pool& pool, uint64_t seed) {
  Result<Sampler::Drawn> drawn = sampler.draw(pool, seed);
  EXPECT_TRUE(drawn.ok()) << drawn.status();
  return drawn.ok() ? *std::move(drawn) : Sampler::Drawn();
}

std::string error(const Sampler& sampler, const Pool& pool = {100, &kTraits, {}}) {
  const Result<Sampler::Drawn> drawn = sampler.draw(pool, 1);
  EXPECT_FALSE(drawn.ok()) << sampler.describe();
  return message_of(drawn.status());
}

size_t women(const Ids& ids) {
  return static_cast<size_t>(
      std::ranges::count_if(ids, [](uint64_t id) { return kTraits.category(id, 0) == 1; }));
}

// Pearson's statistic, of counts against how many were expected.
double chi_square(const std::vector<double>& counts, const std::vector<double>& expected) {
  double sum = 0;
  for (size_t i = 0; i != counts.size(); ++i) {
    sum += (counts[i] - expected[i]) * (counts[i] - expected[i]) / expected[i];
  }
  return sum;
}

const Pool kHundred{100, &kTraits, {}};

TEST(SamplerTraits, QuotaDrawsSoManyOfEach) {
  const Sampler sampler = Sampler::quota("gender", {{"women", 5}, {"men", 7}});
  for (uint64_t seed = 0; seed != 200; ++seed) {
    const Ids ids = draw(sampler, kHundred, seed).clients;
    EXPECT_EQ(ids.size(), 12u);
    EXPECT_EQ(women(ids), 5u);
    EXPECT_TRUE(std::ranges::is_sorted(ids));
    EXPECT_EQ(std::set<uint64_t>(ids.begin(), ids.end()).size(), 12u);
  }
}

// Within a category everybody takes part alike: the counts of 10 women over 2,000 draws of 5, and
// of 90 men.  A draw without replacement varies less than the multinomial by (N - n) / (N - 1).
TEST(SamplerTraits, QuotaIsUniformWithinACategory) {
  const Sampler sampler = Sampler::quota("gender", {{"women", 5}, {"men", 9}});
  std::vector<double> counts(100);
  for (uint64_t seed = 0; seed != 2000; ++seed) {
    for (const uint64_t id : draw(sampler, kHundred, seed).clients) ++counts[id];
  }
  std::vector<double> of_women, of_men;
  for (uint64_t i = 0; i != 100; ++i) (i % 10 == 0 ? of_women : of_men).push_back(counts[i]);
  const auto statistic = [](const std::vector<double>& c, double drawn) {
    const auto n = static_cast<double>(c.size());
    const double correction = (n - drawn) / (n - 1);
    return chi_square(c, std::vector<double>(c.size(), 2000 * drawn / n)) / correction;
  };
  EXPECT_LT(statistic(of_women, 5), 27.9);  // the 99.9 % point of 9 degrees of freedom
  EXPECT_LT(statistic(of_men, 9), 135.9);   // of 89
}

TEST(SamplerTraits, AQuotaThatCannotBeMetGivesWhomThereIs) {
  const auto drawn = draw(Sampler::quota("gender", {{"women", 50}, {"men", 50}}), kHundred, 1);
  EXPECT_EQ(drawn.wanted, 100u);
  EXPECT_EQ(drawn.clients.size(), 60u);
  EXPECT_EQ(women(drawn.clients), 10u);
}

TEST(SamplerTraits, StrataHaveTheirSharesInEveryDraw) {
  const Sampler sampler = Sampler::stratified("size", 10);
  for (uint64_t seed = 0; seed != 100; ++seed) {
    const Ids ids = draw(sampler, kHundred, seed).clients;
    std::map<size_t, int> sizes;
    for (const uint64_t id : ids) ++sizes[kTraits.category(id, 1)];
    EXPECT_EQ(sizes[0], 5) << "seed " << seed;
    EXPECT_EQ(sizes[1], 3);
    EXPECT_EQ(sizes[2], 2);
  }
}

// 0.1 of 7 clients: a woman takes part in seven draws of ten, and never two do.
TEST(SamplerTraits, AStratumSmallerThanAClientIsDrawnByChance) {
  const Sampler sampler = Sampler::stratified("gender", 7);
  double drawn = 0;
  for (uint64_t seed = 0; seed != 4000; ++seed) {
    const Ids ids = draw(sampler, kHundred, seed).clients;
    EXPECT_EQ(ids.size(), 7u);
    EXPECT_LE(women(ids), 1u);
    drawn += static_cast<double>(women(ids));
  }
  EXPECT_NEAR(drawn / 4000, 0.7, 4 * std::sqrt(0.21 / 4000));
}

TEST(SamplerTraits, ApportionedPartsSumToTheWholeAndHaveTheirMeans) {
  const std::vector<double> shares = {0.15, 0.05, 0.45, 0.35};
  std::vector<double> sums(4);
  for (uint64_t seed = 0; seed != 4000; ++seed) {
    const auto parts = apportion(7, shares, Rng(derive_seed(seed, "test")));
    EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), uint64_t{0}), 7u);
    for (size_t i = 0; i != 4; ++i) {
      EXPECT_LT(std::abs(static_cast<double>(parts[i]) - 7 * shares[i]), 1);
      sums[i] += static_cast<double>(parts[i]);
    }
  }
  for (size_t i = 0; i != 4; ++i) EXPECT_NEAR(sums[i] / 4000, 7 * shares[i], 4 * 0.5 / 63);
}

// The probability that each of four clients of sizes 1 to 4 is among two drawn one after the other.
std::vector<double> inclusion(const std::vector<double>& sizes) {
  const double sum = std::accumulate(sizes.begin(), sizes.end(), 0.0);
  std::vector<double> probability(sizes.size());
  for (size_t first = 0; first != sizes.size(); ++first) {
    for (size_t second = 0; second != sizes.size(); ++second) {
      if (first == second) continue;
      const double p = sizes[first] / sum * sizes[second] / (sum - sizes[first]);
      probability[first] += p;
      probability[second] += p;
    }
  }
  return probability;
}

// By tries alone, and, where only these four of many are there, by looking at everybody.
TEST(SamplerTraits, SizeProportionalDrawsAreSuccessive) {
  constexpr int kDraws = 20'000;
  const std::vector<double> expected = inclusion({1, 2, 3, 4});
  const auto size = [](uint64_t id) { return static_cast<double>(id + 1); };
  const Sampler sampler = Sampler::proportional(2, size, 4);
  for (const uint64_t population : {4, 40}) {
    const Pool pool{population, nullptr, [](uint64_t id) { return id < 4; }};
    const Sampler bounded = population == 4
                                ? sampler
                                : Sampler::proportional(
                                      2, [&](uint64_t id) { return id < 4 ? size(id) : 0; }, 4);
    std::vector<double> counts(4);
    for (int seed = 0; seed != kDraws; ++seed) {
      const Ids ids = draw(bounded, pool, static_cast<uint64_t>(seed)).clients;
      ASSERT_EQ(ids.size(), 2u);
      for (const uint64_t id : ids) ++counts[id];
    }
    for (size_t i = 0; i != 4; ++i) {
      EXPECT_NEAR(counts[i] / kDraws, expected[i],
                  4 * std::sqrt(expected[i] * (1 - expected[i]) / kDraws))
          << "client " << i << " of " << population;
    }
  }
}

TEST(SamplerTraits, OneSizeProportionalClientIsDrawnInProportion) {
  const Sampler sampler = Sampler::proportional(
      1, [](uint64_t id) { return static_cast<double>(id); }, 10);
  std::vector<double> counts(11), expected(11);
  for (uint64_t seed = 0; seed != 11'000; ++seed) ++counts[draw(sampler, {11}, seed).clients.at(0)];
  EXPECT_EQ(counts[0], 0);
  for (size_t i = 1; i != 11; ++i) expected[i] = 11'000 * static_cast<double>(i) / 55;
  EXPECT_LT(chi_square({counts.begin() + 1, counts.end()}, {expected.begin() + 1, expected.end()}),
            27.9);  // 9 degrees of freedom
}

TEST(SamplerTraits, WeightsByCategory) {
  const Sampler sampler = Sampler::weighted("gender", 1, {{"women", 3}, {"men", 1}});
  double drawn = 0;
  for (uint64_t seed = 0; seed != 8000; ++seed) {
    drawn += static_cast<double>(women(draw(sampler, kHundred, seed).clients));
  }
  // 10 women of weight 3 and 90 men of weight 1.
  EXPECT_NEAR(drawn / 8000, 0.25, 4 * std::sqrt(0.1875 / 8000));
  EXPECT_EQ(women(draw(Sampler::weighted("gender", 10, {{"women", 1}}), kHundred, 1).clients), 10u);
}

TEST(SamplerTraits, OnlyThoseWhoAreThereAreDrawn) {
  const Pool pool{1000, &kTraits, [](uint64_t id) { return id % 7 == 0; }};
  for (const Sampler& sampler :
       {Sampler::count(50), Sampler::fraction(0.05), Sampler::all(), Sampler::poisson(0.3),
        Sampler::stratified("size", 50), Sampler::weighted("gender", 50, {{"men", 1}})}) {
    const Ids ids = draw(sampler, pool, 5).clients;
    EXPECT_FALSE(ids.empty()) << sampler.describe();
    for (const uint64_t id : ids) EXPECT_EQ(id % 7, 0u) << sampler.describe();
  }
  EXPECT_EQ(draw(Sampler::count(50), pool, 5).clients.size(), 50u);
  EXPECT_EQ(draw(Sampler::all(), pool, 5).clients.size(), 143u);
  const auto many = draw(Sampler::count(500), pool, 5);
  EXPECT_EQ(many.clients.size(), 143u);
  EXPECT_EQ(many.wanted, 500u);
}

TEST(SamplerTraits, AmongThoseWhoAreThereEverySubsetIsEquallyLikely) {
  const Pool pool{12, nullptr, [](uint64_t id) { return id % 2 == 0; }};
  std::map<Ids, double> drawn;
  for (uint64_t seed = 0; seed != 30'000; ++seed) {
    ++drawn[draw(Sampler::count(3), pool, seed).clients];
  }
  ASSERT_EQ(drawn.size(), 20u);
  std::vector<double> counts;
  for (const auto& [ids, times] : drawn) counts.push_back(times);
  EXPECT_LT(chi_square(counts, std::vector<double>(20, 1500)), 43.8);  // 19 degrees of freedom
}

TEST(SamplerTraits, WithoutAPopulationADrawIsASample) {
  for (const Sampler& sampler :
       {Sampler::count(20), Sampler::fraction(0.1), Sampler::poisson(0.1)}) {
    EXPECT_EQ(draw(sampler, {1000}, 7).clients, *sampler.sample(1000, 7)) << sampler.describe();
  }
}

TEST(SamplerTraits, CostsTheCohortNotThePopulation) {
  const Pool pool{uint64_t{1} << 53, &kTraits, [](uint64_t id) { return id % 3 != 0; }};
  EXPECT_EQ(draw(Sampler::quota("gender", {{"women", 500}, {"men", 500}}), pool, 1).clients.size(),
            1000u);
  // Nobody is there: it gives up.
  EXPECT_TRUE(
      draw(Sampler::count(3), {uint64_t{1} << 53, nullptr, [](uint64_t) { return false; }}, 1)
          .clients.empty());
}

TEST(SamplerTraits, ErrorsSayWhatIsNotKnown) {
  EXPECT_THAT(
      error(Sampler::stratified("gendr", 5)),
      HasSubstr("attribute \"gendr\": the population has no such attribute, it has: gender, "
                "size; did you mean \"gender\"?"));
  EXPECT_THAT(error(Sampler::quota("gender", {{"woman", 5}})),
              HasSubstr("no category \"woman\", it has: men, women; did you mean"));
  EXPECT_THAT(error(Sampler::stratified("gender", 5), {100}),
              HasSubstr("not known here: a simulation has attributes in [population.attributes]"));
  EXPECT_THAT(error(Sampler::quota("gender", {{"men", 5}, {"men", 5}})),
              HasSubstr("each category once"));
  EXPECT_THAT(error(Sampler::weighted("gender", 5, {{"men", -1}})), HasSubstr("with 0 or more"));
  EXPECT_THAT(error(Sampler::weighted("gender", 5, {})), HasSubstr("a weight above 0"));
  EXPECT_THAT(error(Sampler::proportional(
                  5, [](uint64_t) { return 7.0; }, 5)),
              HasSubstr("1.4 times as large as the largest may be"));
  EXPECT_THAT(error(Sampler::proportional(5, {}, 5)), HasSubstr("a size function"));
  EXPECT_THAT(error(Sampler::stratified("gender", 500)), HasSubstr("of a population of 100"));
}

TEST(SamplerTraits, DescribeAndEquality) {
  const Sampler quota = Sampler::quota("gender", {{"women", 5}, {"men", 7}});
  EXPECT_EQ(quota.describe(), "quota by gender, women 5, men 7");
  EXPECT_EQ(quota, Sampler::quota("gender", {{"women", 5}, {"men", 7}}));
  EXPECT_FALSE(quota == Sampler::quota("gender", {{"women", 6}, {"men", 6}}));
  EXPECT_EQ(Sampler::stratified("gender", 9).describe(), "stratified by gender, 9");
  EXPECT_FALSE(Sampler::stratified("gender", 9) == Sampler::count(9));
}

}  // namespace
}  // namespace umbel
