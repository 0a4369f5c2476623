#include "umbel/kernel/exact_fold.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <functional>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "umbel/base/parallel.h"
#include "umbel/base/rng.h"

namespace umbel::kernel {
namespace {

constexpr size_t kLengthMax = 70;
constexpr size_t kPiecesMax = 20;

struct Sums {
  std::vector<int64_t> hi;
  std::vector<uint32_t> lo;
  friend bool operator==(const Sums&, const Sums&) = default;
};

Sums random_sums(Rng& rng, size_t n) {
  Sums sums{std::vector<int64_t>(n), std::vector<uint32_t>(n)};
  for (int64_t& hi : sums.hi) hi = static_cast<int64_t>(rng.bits()) >> 3;
  for (uint32_t& lo : sums.lo) lo = static_cast<uint32_t>(rng.bits());
  return sums;
}

// An exact product weight * x as an integer significand and an exponent.
struct Exact {
  __int128 significand;
  int exponent;
};
Exact product(double weight, double x) {
  int weight_exponent = 0;
  int x_exponent = 0;
  const auto a = static_cast<int64_t>(std::ldexp(std::frexp(weight, &weight_exponent), 53));
  const auto b = static_cast<int64_t>(std::ldexp(std::frexp(x, &x_exponent), 53));
  return {static_cast<__int128>(a) * b, weight_exponent + x_exponent - 106};
}

// The product as a multiple of 2^exponent, to nearest with ties to even.
__int128 in_units(const Exact& p, int exponent) {
  const int shift = exponent - p.exponent;
  if (p.significand == 0 || shift > 120) return 0;
  if (shift <= 0) return p.significand << -shift;
  const __int128 one = static_cast<__int128>(1) << shift;
  const __int128 floor = p.significand >> shift;
  const __int128 twice = 2 * (p.significand - floor * one);
  return twice > one || (twice == one && (floor & 1)) ? floor + 1 : floor;
}

__int128 value(const Sums& sums, size_t i) {
  return static_cast<__int128>(sums.hi[i]) * (int64_t{1} << 32) + sums.lo[i];
}

double random_real(Rng& rng, double most, int depth) {
  if (rng.below(16) == 0) return 0;
  const double size = std::ldexp(most, -static_cast<int>(rng.below(static_cast<uint64_t>(depth))));
  return (rng.below(2) ? -1 : 1) * size * (rng.below(8) == 0 ? 1 : 0.5 + rng.uniform() / 2);
}

// An array of n numbers at an address that is no multiple of anything but the type's own size.
template <class T>
struct Unaligned {
  std::vector<T> memory;
  size_t n;
  Unaligned(size_t n, size_t skew) : memory(n + skew), n(n) {}
  T* data() { return memory.data() + memory.size() - n; }
};

class TargetTest : public ::testing::TestWithParam<const Loops*> {
 protected:
  const Loops& loops() const { return *GetParam(); }
};

TEST_P(TargetTest, AddFloatIsThePlainLoopInIntegers) {
  Rng rng(1);
  for (size_t n = 0; n <= kLengthMax; ++n) {
    const size_t k = 1 + n % kPiecesMax;
    const int exponent = -40 + 8 * static_cast<int>(rng.below(20));
    std::vector<Unaligned<float>> inputs;
    std::vector<const float*> x;
    std::vector<double> weights;
    for (size_t j = 0; j != k; ++j) inputs.emplace_back(n, rng.below(16));
    for (size_t j = 0; j != k; ++j) {
      const double weight = static_cast<double>(1 + rng.below((1 << 29) - 1));
      weights.push_back(rng.below(4) ? weight : -1.0);
      const double most = std::ldexp(1.0, exponent) / std::fabs(weights[j]) * 0.99;
      for (size_t i = 0; i != n; ++i)
        inputs[j].data()[i] = static_cast<float>(random_real(rng, most, 110));
      x.push_back(inputs[j].data());
    }
    Sums sums = random_sums(rng, n);
    std::vector<__int128> expected(n);
    for (size_t i = 0; i != n; ++i) {
      expected[i] = value(sums, i);
      for (size_t j = 0; j != k; ++j) {
        expected[i] += in_units(product(weights[j], x[j][i]), exponent - kFractionBits);
      }
    }
    loops().add_float(sums.hi.data(), sums.lo.data(), n, x.data(), weights.data(), k, exponent);
    for (size_t i = 0; i != n; ++i) {
      ASSERT_TRUE(value(sums, i) == expected[i]) << "n " << n << " k " << k << " i " << i;
    }
  }
}

TEST_P(TargetTest, AddFloatTakesEveryNumberOfPieces) {
  for (size_t k = 1; k <= kPiecesMax; ++k) {
    const std::vector<float> ones(kLengthMax, 1.0f);
    const std::vector<const float*> x(k, ones.data());
    std::vector<double> weights;
    for (size_t j = 0; j != k; ++j) weights.push_back(static_cast<double>(1 + j));
    Sums sums{std::vector<int64_t>(kLengthMax), std::vector<uint32_t>(kLengthMax)};
    loops().add_float(sums.hi.data(), sums.lo.data(), kLengthMax, x.data(), weights.data(), k, 8);
    const auto units = static_cast<int64_t>(k * (k + 1) / 2) << 38;  // 2^(46 - 8) a unit
    for (size_t i = 0; i != kLengthMax; ++i) {
      ASSERT_EQ(sums.hi[i], units);
      ASSERT_EQ(sums.lo[i], 0u);
    }
  }
}

TEST_P(TargetTest, AddDoubleIsWithinTheStatedErrorOfTheExactProduct) {
  Rng rng(2);
  for (size_t n = 0; n <= kLengthMax; ++n) {
    const int exponent = 8 * (static_cast<int>(rng.below(200)) - 100);
    const double weight = std::ldexp(1 + rng.uniform(), static_cast<int>(rng.below(40)) - 20);
    Unaligned<double> x(n, rng.below(8));
    for (size_t i = 0; i != n; ++i)
      x.data()[i] = random_real(rng, std::ldexp(0.99, exponent) / weight, 200);
    const Sums before = random_sums(rng, n);
    Sums sums = before;
    loops().add_double(sums.hi.data(), sums.lo.data(), n, x.data(), weight, exponent);
    for (size_t i = 0; i != n; ++i) {
      const __int128 expected = in_units(product(weight, x.data()[i]), exponent - kFractionBits);
      const __int128 added = value(sums, i) - value(before, i);
      // One unit apart where the 106-bit product is all but a tie.
      ASSERT_TRUE(added - expected >= -1 && added - expected <= 1) << "n " << n << " i " << i;
    }
    loops().add_double(sums.hi.data(), sums.lo.data(), n, x.data(), -weight, exponent);
    ASSERT_EQ(sums, before) << "the negative takes out what was added";
  }
}

TEST_P(TargetTest, MeanIsWithinTheStatedErrorOfTheQuotient) {
  Rng rng(3);
  for (size_t n = 0; n <= kLengthMax; ++n) {
    const Sums sums = random_sums(rng, n);
    const double divisor = 1 + static_cast<double>(rng.below(1000000)) / 7;
    std::vector<float> mean(n);
    const int exponent = 8 * (static_cast<int>(rng.below(10)) - 8);
    const Column column{sums.hi.data(), sums.lo.data(), exponent};
    loops().mean_float(mean.data(), &column, 1, n, divisor);
    for (size_t i = 0; i != n; ++i) {
      const auto exact = static_cast<long double>(value(sums, i)) / divisor;
      const long double scaled = std::ldexp(exact, exponent - kFractionBits);
      ASSERT_LE(std::fabs(mean[i] - scaled), std::fabs(scaled) * (0x1p-24L + 0x1p-50L));
    }
  }
}

TEST_P(TargetTest, GivesTheBitsOfThePlainTarget) {
  Rng rng(4);
  const Loops& plain = *all_loops().front();
  for (size_t n = 0; n <= kLengthMax; ++n) {
    const Sums start = random_sums(rng, n);
    std::vector<double> wide(n);
    std::vector<float> narrow(n);
    for (double& x : wide) x = random_real(rng, 0.999, 140);
    for (size_t i = 0; i != n; ++i) narrow[i] = static_cast<float>(wide[i]);
    const double weight = 1 - rng.uniform() / 2;
    const double whole = static_cast<double>(1 + rng.below(1 << 20));
    const float* x = narrow.data();
    Sums ours = start;
    Sums theirs = start;
    for (const auto& [sums, target] : {std::pair{&ours, &loops()}, std::pair{&theirs, &plain}}) {
      target->add_double(sums->hi.data(), sums->lo.data(), n, wide.data(), weight, 8);
      target->add_float(sums->hi.data(), sums->lo.data(), n, &x, &whole, 1, 24);
    }
    ASSERT_EQ(ours, theirs);
    std::vector<float> a(n);
    std::vector<float> b(n);
    const Column columns[] = {{ours.hi.data(), ours.lo.data(), 8},
                              {start.hi.data(), start.lo.data(), 24}};
    for (size_t count = 1; count <= 2; ++count) {
      loops().mean_float(a.data(), columns, count, n, 3.7);
      plain.mean_float(b.data(), columns, count, n, 3.7);
      ASSERT_TRUE(n == 0 || std::memcmp(a.data(), b.data(), n * sizeof(float)) == 0);
    }
  }
}

TEST_P(TargetTest, MeanOfSeveralColumnsIsThatOfTheirSum) {
  Rng rng(8);
  for (size_t n : {1, 7, 64, 70, 256, 300}) {
    for (int span = 0; span <= kColumnsSpanFast; span += 8) {
      Sums fine = random_sums(rng, n);
      Sums coarse = random_sums(rng, n);
      // Sums that nearly cancel: what is left is the fine column's last bits.
      for (size_t i = 0; i < n; i += 3) {
        const __int128 negated =
            -(value(coarse, i) * (__int128{1} << span)) + static_cast<int64_t>(rng.below(9));
        if (negated >> 94 != 0 && negated >> 94 != -1) continue;
        fine.hi[i] = static_cast<int64_t>(negated >> 32);
        fine.lo[i] = static_cast<uint32_t>(negated);
      }
      const Column columns[] = {{coarse.hi.data(), coarse.lo.data(), 8 + span},
                                {fine.hi.data(), fine.lo.data(), 8}};
      std::vector<float> mean(n);
      loops().mean_float(mean.data(), columns, 2, n, 3.7);
      for (size_t i = 0; i != n; ++i) {
        const __int128 sum = value(coarse, i) * (__int128{1} << span) + value(fine, i);
        const long double exact =
            std::ldexp(static_cast<long double>(sum) / 3.7L, 8 - kFractionBits);
        ASSERT_LE(std::fabs(mean[i] - exact), std::fabs(exact) * (0x1p-24L + 0x1p-49L) + 0x1p-150L)
            << i;
      }
    }
  }
}

TEST_P(TargetTest, MaxBitsOfSeveralArraysAreThoseOfEach) {
  Rng rng(9);
  for (size_t k = 0; k <= 20; ++k) {
    for (size_t n : {0, 1, 15, 16, 17, 70}) {
      std::vector<std::vector<float>> arrays(k, std::vector<float>(n));
      std::vector<const float*> pointers;
      std::vector<uint32_t> expected(k);
      for (size_t j = 0; j != k; ++j) {
        for (float& x : arrays[j]) {
          x = static_cast<float>(rng.normal());
          expected[j] = std::max(expected[j], std::bit_cast<uint32_t>(x) & 0x7fffffffu);
        }
        pointers.push_back(arrays[j].data());
      }
      std::vector<uint32_t> most(k, 1);
      loops().max_bits_float(pointers.data(), k, n, most.data());
      ASSERT_EQ(most, expected) << k << " arrays of " << n;
    }
  }
}

template <class T, class Bits>
void expect_max_bits(const std::function<Bits(const T*, size_t)>& max_bits) {
  using Limits = std::numeric_limits<T>;
  Rng rng(5);
  const std::vector<T> ladder = {0,
                                 -Limits::denorm_min(),
                                 3 * Limits::denorm_min(),
                                 -Limits::min(),
                                 T(1),
                                 T(-2),
                                 Limits::max(),
                                 -Limits::infinity(),
                                 Limits::quiet_NaN(),
                                 -Limits::quiet_NaN()};
  for (const auto mode : {DenormalMode::kFlush, DenormalMode::kExact}) {
    const DenormalMode set(mode);
    for (size_t n = 0; n <= kLengthMax; ++n) {
      Unaligned<T> x(n, rng.below(16));
      Bits expected = 0;
      const size_t steps = 1 + rng.below(ladder.size());
      for (size_t i = 0; i != n; ++i) {
        x.data()[i] = ladder[rng.below(steps)];
        const auto bits = static_cast<Bits>(std::bit_cast<Bits>(x.data()[i]) << 1) >> 1;
        expected = std::max(expected, bits);
      }
      ASSERT_EQ(max_bits(x.data(), n), expected) << n;
    }
  }
  const T nan = -Limits::quiet_NaN();
  const T infinity = -Limits::infinity();
  EXPECT_GT(max_bits(&nan, 1), std::bit_cast<Bits>(Limits::infinity()));
  EXPECT_EQ(max_bits(&infinity, 1), std::bit_cast<Bits>(Limits::infinity()));
}

TEST_P(TargetTest, MaxBitsOrdersDenormalsInfinityAndNaN) {
  expect_max_bits<float, uint32_t>([this](const float* x, size_t n) {
    uint32_t most = 0;
    loops().max_bits_float(&x, 1, n, &most);
    return most;
  });
  expect_max_bits<double, uint64_t>(loops().max_bits_double);
}

INSTANTIATE_TEST_SUITE_P(All, TargetTest, ::testing::ValuesIn(all_loops()),
                         [](const auto& info) { return std::string(info.param->target); });

TEST(LoopsTest, TheLastTargetIsTheOneInUse) { EXPECT_EQ(&loops(), all_loops().back()); }

}  // namespace
}  // namespace umbel::kernel
