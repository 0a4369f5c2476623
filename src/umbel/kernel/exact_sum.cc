#include "umbel/kernel/exact_sum.h"

#include <bit>
#include <cmath>
#include <limits>

#include "umbel/base/check.h"

namespace umbel::kernel {

namespace {
constexpr uint32_t kAddsMax = 1u << 30;
constexpr int kLowest = -1074;  // the exponent of bit 0
}  // namespace

void ExactSum::add(double term) {
  const auto bits = std::bit_cast<uint64_t>(term);
  const auto biased = static_cast<unsigned>((bits >> 52) & 2047);
  UMBEL_DCHECK(biased != 2047);
  const uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
  const uint64_t significand = biased ? fraction | (uint64_t{1} << 52) : fraction;
  const unsigned position = biased ? biased - 1 : 0;

  const size_t limb = position / 32;
  const unsigned __int128 shifted = static_cast<unsigned __int128>(significand) << (position % 32);
  const int64_t sign = bits >> 63 ? -1 : 1;
  limbs_[limb] += sign * static_cast<int64_t>(static_cast<uint32_t>(shifted));
  limbs_[limb + 1] += sign * static_cast<int64_t>(static_cast<uint32_t>(shifted >> 32));
  limbs_[limb + 2] += sign * static_cast<int64_t>(static_cast<uint32_t>(shifted >> 64));
  if (++adds_ == kAddsMax) carry();
}

void ExactSum::add_product(double a, double b) {
  const double product = a * b;
  add(product);
  add(std::fma(a, b, -product));
}

void ExactSum::add(const ExactSum& other) {
  ExactSum carried = other;
  carried.carry();
  carry();
  for (size_t i = 0; i != kLimbs; ++i) limbs_[i] += carried.limbs_[i];
  adds_ = 2;
}

// Brings every limb but the last, which keeps the sign, into 0 to 2^32 - 1.
void ExactSum::carry() {
  for (size_t i = 0; i + 1 != kLimbs; ++i) {
    const int64_t excess = limbs_[i] >> 32;
    limbs_[i] -= excess * (int64_t{1} << 32);
    limbs_[i + 1] += excess;
  }
  adds_ = 1;
}

double ExactSum::value() const {
  ExactSum sum = *this;
  sum.carry();
  const bool negative = sum.limbs_.back() < 0;
  if (negative) {
    for (int64_t& limb : sum.limbs_) limb = -limb;
    sum.carry();
  }
  size_t top = kLimbs;
  while (top > 0 && sum.limbs_[top - 1] == 0) --top;
  if (top == 0) return 0;

  // The leading limbs, and whether anything nonzero lies below them.
  unsigned __int128 leading = 0;
  const size_t low = top > 3 ? top - 3 : 0;
  for (size_t i = top; i-- > low;) leading = leading << 32 | static_cast<uint64_t>(sum.limbs_[i]);
  bool rest = false;
  for (size_t i = 0; i != low; ++i) rest |= sum.limbs_[i] != 0;

  int width = 128;
  while (!(leading >> (width - 1))) --width;
  // Bits below the result's last place go; a double below 2^-1022 keeps all places down to 2^-1074.
  const int exponent = static_cast<int>(low) * 32 + kLowest;
  const int drop = width - 53;
  double magnitude = 0;
  if (drop <= 0) {
    magnitude = std::ldexp(static_cast<double>(static_cast<uint64_t>(leading)), exponent);
  } else {
    auto kept = static_cast<uint64_t>(leading >> drop);
    const unsigned __int128 tail = leading & ((static_cast<unsigned __int128>(1) << drop) - 1);
    const unsigned __int128 half = static_cast<unsigned __int128>(1) << (drop - 1);
    if (tail > half || (tail == half && (rest || (kept & 1)))) ++kept;
    magnitude = std::ldexp(static_cast<double>(kept), exponent + drop);
  }
  return negative ? -magnitude : magnitude;
}

ExactSum::Pair ExactSum::pair() const {
  const double high = value();
  if (!std::isfinite(high)) return {high, 0};
  ExactSum rest = *this;
  rest.add(-high);
  return {high, rest.value()};
}

}  // namespace umbel::kernel
