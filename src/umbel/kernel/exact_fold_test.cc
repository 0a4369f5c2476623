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

struct Wide {
  std::vector<int64_t> hi;
  std::vector<uint32_t> lo;
  friend bool operator==(const Wide&, const Wide&) = default;
};

Wide random_wide(Rng& rng, size_t n) {
  Wide sums{std::vector<int64_t>(n), std::vector<uint32_t>(n)};
  for (int64_t& hi : sums.hi) hi = static_cast<int64_t>(rng.bits()) >> 3;
  for (uint32_t& lo : sums.lo) lo = static_cast<uint32_t>(rng.bits());
  return sums;
}

// Sums with room for as many products as a test adds.
std::vector<int64_t> random_narrow(Rng& rng, size_t n) {
  std::vector<int64_t> sums(n);
  for (int64_t& sum : sums) sum = static_cast<int64_t>(rng.bits()) >> 1;
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

__int128 value(const Wide& sums, size_t i) {
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

// A scale that brings products with an integer weight near 2^55, and elements that go with it.
struct FloatCase {
  double scale;
  double most;  // of an element's magnitude
};
FloatCase float_case(Rng& rng) {
  const double weight = static_cast<double>(1 + rng.below((1 << 29) - 1));
  const double scale =
      std::ldexp(rng.below(4) ? weight : -1.0, static_cast<int>(rng.below(90)) - 20);
  return {scale, 0x1p55 / std::fabs(scale)};
}

TEST_P(TargetTest, AddFloatIsThePlainLoopInIntegers) {
  Rng rng(1);
  for (size_t n = 0; n <= kLengthMax; ++n) {
    const size_t k = 1 + n % kPiecesMax;
    std::vector<Unaligned<float>> inputs;
    std::vector<const float*> x;
    std::vector<double> scales;
    for (size_t j = 0; j != k; ++j) inputs.emplace_back(n, rng.below(16));
    for (size_t j = 0; j != k; ++j) {
      const auto [scale, most] = float_case(rng);
      scales.push_back(scale);
      for (size_t i = 0; i != n; ++i) {
        inputs[j].data()[i] = static_cast<float>(random_real(rng, most * (1 - 0x1p-24), 80));
      }
      x.push_back(inputs[j].data());
    }
    std::vector<int64_t> sums = random_narrow(rng, n);
    std::vector<__int128> expected(sums.begin(), sums.end());
    for (size_t i = 0; i != n; ++i) {
      for (size_t j = 0; j != k; ++j) expected[i] += in_units(product(scales[j], x[j][i]), 0);
    }
    loops().add_float(sums.data(), n, x.data(), scales.data(), k);
    for (size_t i = 0; i != n; ++i) {
      ASSERT_TRUE(sums[i] == expected[i]) << "n " << n << " k " << k << " i " << i;
    }
  }
}

TEST_P(TargetTest, TiesGoToEvenAtEveryMagnitude) {
  std::vector<float> x;
  std::vector<int64_t> expected;
  for (int64_t whole : {0L, 1L, 2L, 127L, 128L, 129L, 255L, 256L, 383L, 384L, 8388606L, 4194303L}) {
    for (const double part : {0.0, 0.25, 0.5, 0.75}) {
      for (const int sign : {-1, 1}) {
        const double exact = sign * (static_cast<double>(whole) + part);
        x.push_back(static_cast<float>(exact));
        if (x.back() != exact)
          x.pop_back();
        else
          expected.push_back(static_cast<int64_t>(std::nearbyint(exact)));
      }
    }
  }
  std::vector<int64_t> sums(x.size());
  const float* source = x.data();
  const double one = 1;
  loops().add_float(sums.data(), x.size(), &source, &one, 1);
  EXPECT_EQ(sums, expected);
  const std::vector<double> wide(x.begin(), x.end());
  std::ranges::fill(sums, 0);
  loops().add_double(sums.data(), x.size(), wide.data(), 1);
  EXPECT_EQ(sums, expected);
}

TEST_P(TargetTest, TheGreatestProductsFitAsOftenAsPromised) {
  const std::vector<float> ones(kLengthMax, 1.0f);
  const std::vector<double> wide(kLengthMax, -1.0);
  const std::vector<const float*> x(15, ones.data());
  const std::vector<double> scales(15, 0x1p55);
  std::vector<int64_t> up(kLengthMax);
  std::vector<int64_t> down(kLengthMax);
  for (int i = 0; i != 17; ++i)
    loops().add_float(up.data(), kLengthMax, x.data(), scales.data(), 15);
  for (uint64_t i = 0; i != kNarrowProductsMax; ++i) {
    loops().add_double(down.data(), kLengthMax, wide.data(), 0x1p55);
  }
  const int64_t most = static_cast<int64_t>(kNarrowProductsMax) << 55;
  EXPECT_EQ(up, std::vector<int64_t>(kLengthMax, most));
  EXPECT_EQ(down, std::vector<int64_t>(kLengthMax, -most));
}

TEST_P(TargetTest, AddFloatTakesEveryNumberOfPieces) {
  for (size_t k = 1; k <= kPiecesMax; ++k) {
    const std::vector<float> ones(kLengthMax, 1.0f);
    const std::vector<const float*> x(k, ones.data());
    std::vector<double> scales;
    for (size_t j = 0; j != k; ++j) scales.push_back(static_cast<double>(1 + j));
    std::vector<int64_t> sums(kLengthMax);
    loops().add_float(sums.data(), kLengthMax, x.data(), scales.data(), k);
    ASSERT_EQ(sums, std::vector<int64_t>(kLengthMax, static_cast<int64_t>(k * (k + 1) / 2)));
  }
}

TEST_P(TargetTest, AddDoubleIsWithinTheStatedErrorOfTheExactProduct) {
  Rng rng(2);
  for (size_t n = 0; n <= kLengthMax; ++n) {
    const double scale = std::ldexp(1 + rng.uniform(), static_cast<int>(rng.below(400)) - 200);
    Unaligned<double> x(n, rng.below(8));
    for (size_t i = 0; i != n; ++i) x.data()[i] = random_real(rng, 0x1.fp54 / scale, 100);
    const std::vector<int64_t> before = random_narrow(rng, n);
    std::vector<int64_t> sums = before;
    loops().add_double(sums.data(), n, x.data(), scale);
    for (size_t i = 0; i != n; ++i) {
      const __int128 expected = in_units(product(scale, x.data()[i]), 0);
      const __int128 added = static_cast<__int128>(sums[i]) - before[i];
      // One unit apart where the 106-bit product is all but a tie.
      ASSERT_TRUE(added - expected >= -1 && added - expected <= 1) << "n " << n << " i " << i;
    }
    loops().add_double(sums.data(), n, x.data(), -scale);
    ASSERT_EQ(sums, before) << "the negative takes out what was added";
  }
}

TEST_P(TargetTest, AddWideIsWithinTheStatedErrorOfTheExactProduct) {
  Rng rng(10);
  for (size_t n = 0; n <= kLengthMax; ++n) {
    const int exponent = 8 * (static_cast<int>(rng.below(200)) - 100);
    const double weight = std::ldexp(1 + rng.uniform(), static_cast<int>(rng.below(40)) - 20);
    Unaligned<double> x(n, rng.below(8));
    for (size_t i = 0; i != n; ++i)
      x.data()[i] = random_real(rng, std::ldexp(0.99, exponent) / weight, 200);
    const Wide before = random_wide(rng, n);
    Wide sums = before;
    loops().add_wide(sums.hi.data(), sums.lo.data(), n, x.data(), weight, exponent);
    for (size_t i = 0; i != n; ++i) {
      const __int128 expected = in_units(product(weight, x.data()[i]), exponent - kWideBits);
      const __int128 added = value(sums, i) - value(before, i);
      ASSERT_TRUE(added - expected >= -1 && added - expected <= 1) << "n " << n << " i " << i;
    }
    loops().add_wide(sums.hi.data(), sums.lo.data(), n, x.data(), -weight, exponent);
    ASSERT_EQ(sums, before) << "the negative takes out what was added";
  }
}

TEST_P(TargetTest, MeanIsWithinTheStatedErrorOfTheQuotient) {
  Rng rng(3);
  for (size_t n = 0; n <= kLengthMax; ++n) {
    const std::vector<int64_t> sums = random_narrow(rng, n);
    std::vector<int32_t> top(n);
    for (int32_t& t : top) t = static_cast<int32_t>(rng.below(2048)) - 1024;
    const double divisor = 1 + static_cast<double>(rng.below(1000000)) / 7;
    std::vector<float> mean(n);
    const int exponent = 8 * (static_cast<int>(rng.below(10)) - 8);
    for (const bool carried : {false, true}) {
      const Column column{sums.data(), carried ? top.data() : nullptr, exponent};
      loops().mean_float(mean.data(), &column, 1, n, divisor);
      for (size_t i = 0; i != n; ++i) {
        const __int128 sum = sums[i] + (carried ? __int128{top[i]} << kTopShift : 0);
        const auto exact = static_cast<long double>(sum) / divisor;
        const long double scaled = std::ldexp(exact, exponent - kNarrowBits);
        ASSERT_LE(std::fabs(mean[i] - scaled), std::fabs(scaled) * (0x1p-24L + 0x1p-50L));
      }
    }
  }
}

TEST_P(TargetTest, CarriesThatAreZeroChangeNoBit) {
  Rng rng(11);
  const std::vector<int64_t> sums = random_narrow(rng, 3000);
  const std::vector<int32_t> none(3000);
  std::vector<float> a(3000);
  std::vector<float> b(3000);
  const Column plain{sums.data(), nullptr, 8};
  const Column carried{sums.data(), none.data(), 8};
  loops().mean_float(a.data(), &plain, 1, a.size(), 3.7);
  loops().mean_float(b.data(), &carried, 1, b.size(), 3.7);
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

TEST_P(TargetTest, GivesTheBitsOfThePlainTarget) {
  Rng rng(4);
  const Loops& plain = *all_loops().front();
  for (size_t n = 0; n <= kLengthMax; ++n) {
    const std::vector<int64_t> start = random_narrow(rng, n);
    const Wide wide_start = random_wide(rng, n);
    std::vector<double> wide(n);
    std::vector<float> narrow(n);
    for (double& x : wide) x = random_real(rng, 0.999, 140);
    for (size_t i = 0; i != n; ++i) narrow[i] = static_cast<float>(wide[i]);
    const double weight = 1 - rng.uniform() / 2;
    const double scale = std::ldexp(static_cast<double>(1 + rng.below(1 << 20)), 35);
    const float* x = narrow.data();
    std::vector<int64_t> ours = start;
    std::vector<int64_t> theirs = start;
    Wide our_wide = wide_start;
    Wide their_wide = wide_start;
    loops().add_double(ours.data(), n, wide.data(), weight * 0x1p55);
    plain.add_double(theirs.data(), n, wide.data(), weight * 0x1p55);
    loops().add_float(ours.data(), n, &x, &scale, 1);
    plain.add_float(theirs.data(), n, &x, &scale, 1);
    ASSERT_EQ(ours, theirs);
    loops().add_wide(our_wide.hi.data(), our_wide.lo.data(), n, wide.data(), weight, 8);
    plain.add_wide(their_wide.hi.data(), their_wide.lo.data(), n, wide.data(), weight, 8);
    ASSERT_EQ(our_wide, their_wide);
    std::vector<float> a(n);
    std::vector<float> b(n);
    std::vector<int32_t> top(n, 5);
    const Column columns[] = {{ours.data(), top.data(), 8}, {start.data(), nullptr, 24}};
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
      std::vector<int64_t> fine = random_narrow(rng, n);
      std::vector<int64_t> coarse = random_narrow(rng, n);
      std::vector<int32_t> top(n);
      // Sums that nearly cancel: what is left is the fine column's last bits.
      for (size_t i = 0; i < n; i += 3) {
        coarse[i] >>= 20;
        const __int128 negated =
            -(__int128{coarse[i]} * (__int128{1} << span)) + static_cast<int64_t>(rng.below(9));
        top[i] = static_cast<int32_t>(negated >> kTopShift);
        fine[i] = static_cast<int64_t>(negated - (__int128{top[i]} << kTopShift));
      }
      const Column columns[] = {{coarse.data(), nullptr, 8 + span}, {fine.data(), top.data(), 8}};
      std::vector<float> mean(n);
      loops().mean_float(mean.data(), columns, 2, n, 3.7);
      for (size_t i = 0; i != n; ++i) {
        const __int128 sum =
            __int128{coarse[i]} * (__int128{1} << span) + fine[i] + (__int128{top[i]} << kTopShift);
        const long double exact = std::ldexp(static_cast<long double>(sum) / 3.7L, 8 - kNarrowBits);
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
