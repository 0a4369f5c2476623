#include "umbel/base/rng.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include "umbel/base/statistics_test.h"

namespace umbel {
namespace {

using testing::ElementsAre;
using testing_statistics::chi_square;
using testing_statistics::chi_square_limit;
using testing_statistics::Moments;
using testing_statistics::moments_of;

constexpr uint64_t kSeed = 20110101;
constexpr int kDraws = 200'000;
constexpr double kErrors = 5;  // standard errors: fails by chance once in two million

template <class Draw>
std::vector<double> sample(int draws, Draw draw) {
  std::vector<double> values(static_cast<size_t>(draws));
  for (double& value : values) value = static_cast<double>(draw());
  return values;
}

void expect_moments(const std::vector<double>& values, double mean, double variance) {
  const Moments m = moments_of(values);
  EXPECT_NEAR(m.mean, mean, kErrors * m.mean_error) << "seed " << kSeed;
  EXPECT_NEAR(m.variance, variance, kErrors * m.variance_error) << "seed " << kSeed;
}

// Kolmogorov's distance to a distribution function, times the root of the sample size; above 2.7
// with probability 1e-6.
template <class Distribution>
double kolmogorov(std::vector<double> values, Distribution distribution) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double distance = 0;
  for (size_t i = 0; i != values.size(); ++i) {
    const double p = distribution(values[i]);
    distance = std::max({distance, std::fabs(p - static_cast<double>(i) / n),
                         std::fabs(p - static_cast<double>(i + 1) / n)});
  }
  return distance * std::sqrt(n);
}
constexpr double kKolmogorovLimit = 2.7;

// The known answers that the paper's authors publish with Random123.
TEST(Philox, GivesThePapersKnownAnswers) {
  EXPECT_THAT(philox({0, 0, 0, 0}, {0, 0}),
              ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_THAT(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
              ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST(Rng, IsPhiloxCountingFromZeroWithTheSeedAsKey) {
  Rng rng(0x0123456789abcdef);
  for (uint32_t counter = 0; counter != 100; ++counter) {
    const auto block = philox({counter, 0, 0, 0}, {0x89abcdef, 0x01234567});
    EXPECT_EQ(rng.bits(), uint64_t{block[0]} | uint64_t{block[1]} << 32);
    EXPECT_EQ(rng.bits(), uint64_t{block[2]} | uint64_t{block[3]} << 32);
  }
}

TEST(Rng, UniformHasItsMomentsAndDistribution) {
  Rng rng(kSeed);
  const auto values = sample(kDraws, [&] { return rng.uniform(); });
  for (const double value : values) ASSERT_TRUE(value >= 0 && value < 1);
  expect_moments(values, 0.5, 1.0 / 12);
  EXPECT_LT(kolmogorov(values, [](double x) { return x; }), kKolmogorovLimit);
}

TEST(Rng, BelowIsUniformForSmallBounds) {
  Rng rng(kSeed);
  for (uint64_t bound : {1, 2, 3, 10, 100}) {
    std::vector<double> counts(bound, 0);
    for (int i = 0; i != kDraws; ++i) ++counts.at(rng.below(bound));
    const std::vector<double> expected(bound, kDraws / static_cast<double>(bound));
    EXPECT_LE(chi_square(counts, expected), bound == 1 ? 0 : chi_square_limit(bound - 1)) << bound;
  }
}

// Scaling 64 bits to this bound without rejection gives multiples of 3 half of the time.
TEST(Rng, BelowIsUnbiasedForABoundThatDoesNotDivideTheRange) {
  Rng rng(kSeed);
  std::vector<double> counts(3, 0);
  for (int i = 0; i != kDraws; ++i) ++counts[rng.below(uint64_t{3} << 62) % 3];
  EXPECT_LT(chi_square(counts, std::vector<double>(3, kDraws / 3.0)), chi_square_limit(2));
}

TEST(Rng, NormalHasItsMomentsAndDistribution) {
  Rng rng(kSeed);
  const auto values = sample(kDraws, [&] { return rng.normal(); });
  expect_moments(values, 0, 1);
  EXPECT_LT(kolmogorov(values, [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }),
            kKolmogorovLimit);
}

TEST(Rng, GammaHasItsMoments) {
  for (double shape : {0.05, 0.3, 1.0, 2.5, 50.0, 1e6}) {
    SCOPED_TRACE(shape);
    Rng rng(kSeed);
    expect_moments(sample(kDraws, [&] { return rng.gamma(shape); }), shape, shape);
  }
}

TEST(Rng, GammaOfShapeOneIsExponentialAndOfAHalfIsASquaredNormal) {
  Rng rng(kSeed);
  const auto exponential = sample(kDraws, [&] { return rng.gamma(1); });
  EXPECT_LT(kolmogorov(exponential, [](double x) { return -std::expm1(-x); }), kKolmogorovLimit);
  const auto halved_square = sample(kDraws, [&] { return rng.gamma(0.5); });
  EXPECT_LT(kolmogorov(halved_square, [](double x) { return std::erf(std::sqrt(x)); }),
            kKolmogorovLimit);
}

TEST(Rng, GeometricHasItsMomentsAndDistribution) {
  for (double p : {0.9, 0.5, 0.1, 0.001}) {
    SCOPED_TRACE(p);
    Rng rng(kSeed);
    const auto values = sample(kDraws, [&] { return rng.geometric(p); });
    expect_moments(values, (1 - p) / p, (1 - p) / (p * p));
    const auto zeros = static_cast<double>(std::count(values.begin(), values.end(), 0.0));
    EXPECT_NEAR(zeros / kDraws, p, kErrors * std::sqrt(p * (1 - p) / kDraws));
  }
}

TEST(Rng, GeometricOfTheExtremes) {
  Rng rng(kSeed);
  for (int i = 0; i != 100; ++i) EXPECT_EQ(rng.geometric(1), 0u);
  uint64_t largest = 0;
  for (int i = 0; i != 100; ++i) largest = std::max(largest, rng.geometric(1e-300));
  EXPECT_EQ(largest, UINT64_MAX);
}

// Each share of Dirichlet(alpha, ..., alpha) over K has mean 1/K and variance
// (1/K) (1 - 1/K) / (K alpha + 1).
TEST(Rng, DirichletHasItsMoments) {
  for (double alpha : {0.05, 0.3, 1.0, 10.0}) {
    for (size_t k : {2, 10}) {
      SCOPED_TRACE(testing::Message() << "alpha " << alpha << " K " << k);
      Rng rng(kSeed);
      std::vector<double> first;
      for (int i = 0; i != kDraws / 5; ++i) {
        const std::vector<double> point = rng.dirichlet(alpha, k);
        double sum = 0;
        for (const double share : point) sum += share;
        ASSERT_NEAR(sum, 1, 1e-12);
        first.push_back(point[0]);
      }
      const double mean = 1 / static_cast<double>(k);
      expect_moments(first, mean, mean * (1 - mean) / (static_cast<double>(k) * alpha + 1));
    }
  }
}

TEST(Rng, DirichletOfAHugeAlphaIsEqualShares) {
  Rng rng(kSeed);
  for (double alpha : {1e13, 1e14, 1e300, 1.7e308, HUGE_VAL}) {
    for (const double share : rng.dirichlet(alpha, 8)) EXPECT_NEAR(share, 0.125, 1e-6) << alpha;
  }
}

TEST(Rng, DirichletOfATinyAlphaIsOneCategoryThatMayBeAny) {
  for (double alpha : {1e-6, 1e-300, 5e-324}) {
    Rng rng(kSeed);
    std::vector<double> counts(4, 0);
    for (int i = 0; i != 4000; ++i) {
      const auto point = rng.dirichlet(alpha, 4);
      ASSERT_EQ(std::count(point.begin(), point.end(), 1.0), 1);
      ASSERT_EQ(std::count(point.begin(), point.end(), 0.0), 3);
      ++counts[static_cast<size_t>(std::max_element(point.begin(), point.end()) - point.begin())];
    }
    EXPECT_LT(chi_square(counts, std::vector<double>(4, 1000)), chi_square_limit(3)) << alpha;
  }
}

TEST(Rng, DirichletOfNoCategoriesIsEmpty) { EXPECT_TRUE(Rng(kSeed).dirichlet(1, 0).empty()); }

TEST(Rng, ShuffleGivesEveryOrderEquallyOften) {
  Rng rng(kSeed);
  std::map<std::string, double> counts;
  for (int i = 0; i != kDraws; ++i) {
    std::string letters = "abcd";
    rng.shuffle(std::span(letters));
    ++counts[letters];
  }
  ASSERT_EQ(counts.size(), 24u);
  std::vector<double> found;
  for (const auto& [letters, count] : counts) found.push_back(count);
  EXPECT_LT(chi_square(found, std::vector<double>(24, kDraws / 24.0)), chi_square_limit(23));
}

TEST(DeriveSeed, TellsPathsApart) {
  std::set<uint64_t> seeds;
  size_t made = 0;
  const auto add = [&](uint64_t seed) {
    seeds.insert(seed);
    ++made;
  };
  for (uint64_t parent : {0, 1, 2}) {
    add(derive_seed(parent, {}));
    for (uint64_t a = 0; a != 100; ++a) {
      add(derive_seed(parent, {a}));
      for (uint64_t b = 0; b != 100; ++b) add(derive_seed(parent, {a, b}));
    }
    for (const char* name : {"a", "b", "ab", "ba", "aa", "train", "sample"}) {
      add(derive_seed(parent, name));
    }
  }
  EXPECT_EQ(seeds.size(), made);
  EXPECT_EQ(derive_seed(7, {1, 2}), derive_seed(7, {1, 2}));
  EXPECT_EQ(derive_seed(7, "x"), derive_seed(7, "x"));
}

// The first numbers of neighbouring clients' streams are as independent as those of one stream.
TEST(DeriveSeed, NeighbouringStreamsAreUncorrelated) {
  std::vector<double> products;
  std::vector<double> cells(64, 0);
  double before = Rng(derive_seed(kSeed, {0})).uniform();
  for (uint64_t client = 1; client <= kDraws; ++client) {
    const double now = Rng(derive_seed(kSeed, {client})).uniform();
    products.push_back((before - 0.5) * (now - 0.5));
    ++cells[static_cast<size_t>(before * 8) * 8 + static_cast<size_t>(now * 8)];
    before = now;
  }
  expect_moments(products, 0, 1.0 / 144);
  EXPECT_LT(chi_square(cells, std::vector<double>(64, kDraws / 64.0)), chi_square_limit(63));
}

}  // namespace
}  // namespace umbel
