#include "umbel/record/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace umbel {
namespace {

template <class Half>
Half rounded(double value);
template <>
Float16 rounded<Float16>(double value) {
  return to_float16(value);
}
template <>
Bfloat16 rounded<Bfloat16>(double value) {
  return to_bfloat16(value);
}

uint16_t bits_of(Float16 value) { return static_cast<uint16_t>(value); }
uint16_t bits_of(Bfloat16 value) { return static_cast<uint16_t>(value); }

// The value of a bit pattern by IEEE 754's definition.
double defined_value(uint16_t bits, int fraction_bits) {
  const int exponent_bits = 15 - fraction_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits & 0x7fff) >> fraction_bits;
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return fraction ? NAN : sign * INFINITY;
  const double significand = std::ldexp(fraction, -fraction_bits) + (exponent ? 1 : 0);
  return sign * significand * std::exp2(std::max(exponent, 1) - bias);
}

template <class Half>
void all_patterns(int fraction_bits) {
  for (int i = 0; i != 65536; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    const float wide = to_float(static_cast<Half>(bits));
    const double expected = defined_value(bits, fraction_bits);
    const auto back = rounded<Half>(wide);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(wide)) << bits;
      ASSERT_TRUE(std::isnan(to_float(back))) << bits;
      ASSERT_EQ(std::signbit(to_float(back)), (bits & 0x8000) != 0) << bits;
    } else {
      ASSERT_EQ(wide, expected) << bits;
      ASSERT_EQ(std::signbit(wide), (bits & 0x8000) != 0) << bits;
      ASSERT_EQ(bits_of(back), bits);
    }
  }
}

TEST(Half, AllFloat16PatternsWidenAndReturn) { all_patterns<Float16>(10); }
TEST(Half, AllBfloat16PatternsWidenAndReturn) { all_patterns<Bfloat16>(7); }

// Between every two neighbours: the middle goes to the even one, a hair beside it to the nearer
// one.
template <class Half>
void all_midpoints(uint16_t infinity) {
  for (uint16_t low = 0; low != infinity; ++low) {
    const double a = to_float(static_cast<Half>(low));
    // Beyond the largest number stands what the format would have next.
    const double step = a - to_float(static_cast<Half>(static_cast<uint16_t>(low - 1)));
    const auto high = static_cast<uint16_t>(low + 1);
    const double b = high == infinity ? a + step : to_float(static_cast<Half>(high));
    const double middle = (a + b) / 2;
    const uint16_t even = low % 2 == 0 ? low : high;
    ASSERT_EQ(bits_of(rounded<Half>(middle)), even) << low;
    ASSERT_EQ(bits_of(rounded<Half>(-middle)), even | 0x8000) << low;
    ASSERT_EQ(bits_of(rounded<Half>(std::nextafter(middle, 0))), low);
    ASSERT_EQ(bits_of(rounded<Half>(std::nextafter(middle, INFINITY))), high);
  }
}

TEST(Half, Float16RoundsToNearestTiesToEven) { all_midpoints<Float16>(0x7c00); }
TEST(Half, Bfloat16RoundsToNearestTiesToEven) { all_midpoints<Bfloat16>(0x7f80); }

TEST(Half, ExtremesOverflowAndVanish) {
  EXPECT_EQ(bits_of(to_float16(65504)), 0x7bff);
  EXPECT_EQ(bits_of(to_float16(65520)), 0x7c00);
  EXPECT_EQ(bits_of(to_float16(-INFINITY)), 0xfc00);
  EXPECT_EQ(bits_of(to_float16(std::numeric_limits<double>::max())), 0x7c00);
  EXPECT_EQ(bits_of(to_float16(std::numeric_limits<double>::denorm_min())), 0);
  EXPECT_EQ(bits_of(to_float16(-0.0)), 0x8000);
  EXPECT_EQ(bits_of(to_bfloat16(std::numeric_limits<float>::max())), 0x7f80);
  EXPECT_EQ(bits_of(to_bfloat16(-std::numeric_limits<double>::denorm_min())), 0x8000);
  EXPECT_EQ(bits_of(to_bfloat16(1)), 0x3f80);
}

// 1 + 2^-11 + 2^-50: by way of float it would lose the last term and tie to even, downwards.
TEST(Half, RoundingFromDoubleHappensOnce) {
  const double value = 1 + std::exp2(-11) + std::exp2(-50);
  EXPECT_EQ(bits_of(to_float16(value)), 0x3c01);
  EXPECT_EQ(bits_of(to_float16(static_cast<float>(value))), 0x3c00);
}

}  // namespace
}  // namespace umbel
