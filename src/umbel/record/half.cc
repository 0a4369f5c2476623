#include "umbel/record/half.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace umbel {

namespace {

// Rounds |value| to `significand` bits with least exponent `exponent_min` (of a normal number's
// leading bit), ties to even, and returns the format's bits without the sign.
uint16_t round_bits(double value, int significand, int exponent_min, int exponent_max) {
  const int stored = significand - 1;
  const auto infinity = static_cast<uint16_t>((exponent_max - exponent_min + 2) << stored);
  if (std::isnan(value)) return static_cast<uint16_t>(infinity | (1u << (stored - 1)));
  value = std::fabs(value);
  if (std::isinf(value)) return infinity;
  if (value == 0) return 0;
  const int exponent = std::max(std::ilogb(value), exponent_min);
  // In units of the last place: below 2^significand, so the nearest integer is exact.
  const double units = std::nearbyint(std::ldexp(value, stored - exponent));
  // A carry into the next binade, or from denormal to normal, is the same integer addition.
  const uint64_t bits = static_cast<uint64_t>(exponent - exponent_min) << stored;
  const uint64_t rounded = bits + static_cast<uint64_t>(units);
  return rounded >= infinity ? infinity : static_cast<uint16_t>(rounded);
}

}  // namespace

float to_float(Float16 value) {
  const auto bits = static_cast<uint16_t>(value);
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  float magnitude = 0;
  if (exponent == 31) {
    magnitude = fraction ? NAN : INFINITY;
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    magnitude = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  }
  return bits & 0x8000 ? -magnitude : magnitude;
}

float to_float(Bfloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(static_cast<uint16_t>(value)) << 16);
}

Float16 to_float16(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  return static_cast<Float16>(sign | round_bits(value, 11, -14, 15));
}

Bfloat16 to_bfloat16(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  return static_cast<Bfloat16>(sign | round_bits(value, 8, -126, 127));
}

}  // namespace umbel
