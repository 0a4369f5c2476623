#include "umbel/kernel/exact_sum.h"

#include <gmpxx.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "umbel/base/rng.h"

namespace umbel::kernel {
namespace {

double any_double(Rng& rng) {
  uint64_t bits = rng.bits();
  if ((bits >> 52 & 2047) == 2047) bits &= ~(uint64_t{1} << 62);
  return std::bit_cast<double>(bits);
}

// The double nearest to a rational that is a multiple of 2^-1074, ties to even.
double nearest(const mpq_class& exact) {
  const mpq_class size = abs(exact);
  double low = std::fabs(size.get_d());  // truncated towards zero
  if (std::isinf(low)) low = std::numeric_limits<double>::max();
  const double high = std::nextafter(low, INFINITY);
  mpq_class above;
  if (std::isinf(high)) {
    above = 2 * mpq_class(0x1p1023);
  } else {
    above = high;
  }
  const mpq_class twice = 2 * size - mpq_class(low) - above;
  const bool even = (std::bit_cast<uint64_t>(low) & 1) == 0;
  const double magnitude = twice < 0 || (twice == 0 && even) ? low : high;
  return exact < 0 ? -magnitude : magnitude;
}

void expect_exact(const ExactSum& sum, const mpq_class& exact) {
  const double expected = nearest(exact);
  ASSERT_EQ(sum.value(), expected);
  if (!std::isfinite(expected)) return;
  const auto [high, low] = sum.pair();
  EXPECT_EQ(high, expected);
  EXPECT_EQ(low, nearest(exact - mpq_class(expected)));
}

TEST(ExactSumTest, NothingIsZero) {
  EXPECT_EQ(ExactSum().value(), 0);
  EXPECT_EQ(ExactSum().pair().low, 0);
}

RC_GTEST_PROP(ExactSumTest, AnyDoublesGiveTheNearestToTheRationalSum, (uint64_t seed)) {
  Rng rng(seed);
  ExactSum sum;
  mpq_class exact = 0;
  const uint64_t terms = rng.below(60);
  for (uint64_t i = 0; i != terms; ++i) {
    const double term = any_double(rng);
    sum.add(term);
    exact += mpq_class(term);
    if (rng.below(3) == 0) {  // cancels, to leave what is small
      sum.add(-term);
      exact -= mpq_class(term);
    }
  }
  expect_exact(sum, exact);
}

RC_GTEST_PROP(ExactSumTest, DenormalsAreExact, (uint64_t seed)) {
  Rng rng(seed);
  ExactSum sum;
  mpq_class exact = 0;
  for (int i = 0; i != 30; ++i) {
    const double term =
        std::bit_cast<double>(rng.bits() & (uint64_t{0x8000000000000000} | ((1ull << 53) - 1)));
    sum.add(term);
    exact += mpq_class(term);
  }
  expect_exact(sum, exact);
}

RC_GTEST_PROP(ExactSumTest, MergesInAnyOrderAreOneSum, (uint64_t seed)) {
  Rng rng(seed);
  std::vector<double> terms(1 + rng.below(100));
  for (double& term : terms) term = any_double(rng);
  ExactSum whole;
  for (const double term : terms) whole.add(term);
  rng.shuffle(std::span(terms));
  std::vector<ExactSum> parts(1 + rng.below(8));
  for (const double term : terms) parts[rng.below(parts.size())].add(term);
  ExactSum merged;
  for (const ExactSum& part : parts) merged.add(part);
  RC_ASSERT(std::bit_cast<uint64_t>(whole.value()) == std::bit_cast<uint64_t>(merged.value()));
  RC_ASSERT(whole.pair().low == merged.pair().low);
}

RC_GTEST_PROP(ExactSumTest, ProductsAreExactAboveTheirFloor, (uint64_t seed)) {
  Rng rng(seed);
  ExactSum sum;
  mpq_class exact = 0;
  for (int i = 0; i != 40; ++i) {
    const double a = std::ldexp(1 + rng.uniform(), static_cast<int>(rng.below(800)) - 400);
    const double b = std::ldexp(-1 - rng.uniform(), static_cast<int>(rng.below(800)) - 400);
    sum.add_product(a, b);
    exact += mpq_class(a) * mpq_class(b);
  }
  expect_exact(sum, exact);
}

TEST(ExactSumTest, TiesGoToTheEvenNeighbour) {
  for (const double one : {1.0, 0x1p-1000, 0x1p900}) {
    for (const int sign : {1, -1}) {
      ExactSum even;  // 1 + 2^-53: half way between 1 and its neighbour
      even.add(sign * one);
      even.add(sign * one * 0x1p-53);
      EXPECT_EQ(even.value(), sign * one);
      even.add(sign * 0x1p-1074);  // no tie any more
      if (one > 0x1p-1000) EXPECT_EQ(even.value(), sign * one * (1 + 0x1p-52));
      ExactSum odd;
      odd.add(sign * one * (1 + 0x1p-52));
      odd.add(sign * one * 0x1p-53);
      EXPECT_EQ(odd.value(), sign * one * (1 + 0x1p-51));
    }
  }
}

TEST(ExactSumTest, HundredThousandTermsThatAllButCancel) {
  Rng rng(6);
  ExactSum sum;
  mpq_class exact = 0;
  for (int i = 0; i != 50000; ++i) {
    const double term = any_double(rng);
    const double rest = std::ldexp(rng.normal(), -900);
    sum.add(term);
    sum.add(rest);
    sum.add(-term);
    exact += mpq_class(rest);
  }
  expect_exact(sum, exact);
}

TEST(ExactSumTest, BeyondDoublesRangeIsInfinityAndComesBack) {
  constexpr double kMax = std::numeric_limits<double>::max();
  ExactSum sum;
  for (int i = 0; i != 1000; ++i) sum.add(-kMax);
  EXPECT_EQ(sum.value(), -INFINITY);
  for (int i = 0; i != 999; ++i) sum.add(kMax);
  EXPECT_EQ(sum.value(), -kMax);
}

}  // namespace
}  // namespace umbel::kernel
