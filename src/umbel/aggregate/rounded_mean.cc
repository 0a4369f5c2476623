#include "umbel/aggregate/rounded_mean.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "umbel/record/half.h"

namespace umbel::aggregate {

namespace {

constexpr int kShiftMax = 24;  // 96-bit sums of 2^8 terms shifted so far stay within 127 bits
constexpr __int128 kUnitsMax = static_cast<__int128>(1) << 100;

Wide from_units(__int128 units, int exponent) {
  const auto high = static_cast<double>(units);
  return {high, static_cast<double>(units - static_cast<__int128>(high)), exponent};
}

template <class T>
T nearest_integer(const Wide& value) {
  // Both parts scaled are exact; the integer part of each is taken apart from its fraction.
  const double high = std::ldexp(value.high, value.exponent);
  const double low = std::ldexp(value.low, value.exponent);
  const double whole = std::nearbyint(high);
  const double rest = (high - whole) + low;
  const double step = std::nearbyint(rest);
  auto sum = static_cast<__int128>(whole) + static_cast<__int128>(step);
  if (std::fabs(rest) == 0.5) {
    const auto floor = static_cast<__int128>(whole) + (rest < 0 ? -1 : 0);
    // What the sum of both parts lost says on which side of the tie the value lies; on the tie
    // itself the even neighbour is meant.
    const double lost = ((high - whole) - rest) + low;
    sum = lost > 0 || (lost == 0 && (floor & 1)) ? floor + 1 : floor;
  }
  const __int128 least = std::numeric_limits<T>::min();
  const __int128 most = std::numeric_limits<T>::max();
  return static_cast<T>(std::clamp(sum, least, most));
}

template <class T>
void put(std::byte* out, size_t i, T value) {
  reinterpret_cast<T*>(out)[i] = value;
}

}  // namespace

Wide sum_of(std::span<const FixedPoint> terms) {
  if (terms.size() == 1) return from_units(terms[0].units, terms[0].exponent);
  const auto [least, most] = std::ranges::minmax(terms, {}, &FixedPoint::exponent);
  const bool narrow = most.exponent - least.exponent <= kShiftMax &&
                      std::ranges::all_of(terms, [](const FixedPoint& term) {
                        return term.units < kUnitsMax && term.units > -kUnitsMax;
                      });
  if (narrow) {
    __int128 units = 0;
    for (const FixedPoint& term : terms) {
      units += term.units * (static_cast<__int128>(1) << (term.exponent - least.exponent));
    }
    return from_units(units, least.exponent);
  }
  // Relative to the greatest grid, so that no part leaves double's range.
  kernel::ExactSum sum;
  for (const FixedPoint& term : terms) {
    __int128 rest = term.units;
    while (rest != 0) {
      const auto part = static_cast<double>(rest);
      sum.add(std::ldexp(part, term.exponent - most.exponent));
      rest -= static_cast<__int128>(part);
    }
  }
  const auto [high, low] = sum.pair();
  return {high, low, most.exponent};
}

Wide divide(const Wide& numerator, const kernel::ExactSum::Pair& divisor) {
  int exponent = 0;
  const double first = std::frexp(divisor.high, &exponent);  // no quotient leaves double's range
  const double second = std::ldexp(divisor.low, -exponent);
  const double high = numerator.high / first;
  const double rest = std::fma(-high, first, numerator.high) + (numerator.low - high * second);
  const double low = rest / first;
  const double sum = high + low;
  return {sum, (high - sum) + low, numerator.exponent - exponent};
}

void store_rounded(DType dtype, std::byte* out, size_t i, const Wide& value) {
  const double real = std::ldexp(value.high, value.exponent);
  switch (dtype) {
    case DType::kBool:
      return put(out, i, nearest_integer<uint8_t>(value) != 0);
    case DType::kInt8:
      return put(out, i, nearest_integer<int8_t>(value));
    case DType::kInt16:
      return put(out, i, nearest_integer<int16_t>(value));
    case DType::kInt32:
      return put(out, i, nearest_integer<int32_t>(value));
    case DType::kInt64:
      return put(out, i, nearest_integer<int64_t>(value));
    case DType::kUint8:
      return put(out, i, nearest_integer<uint8_t>(value));
    case DType::kUint16:
      return put(out, i, nearest_integer<uint16_t>(value));
    case DType::kUint32:
      return put(out, i, nearest_integer<uint32_t>(value));
    case DType::kUint64:
      return put(out, i, nearest_integer<uint64_t>(value));
    case DType::kFloat16:
      return put(out, i, to_float16(real));
    case DType::kBfloat16:
      return put(out, i, to_bfloat16(real));
    case DType::kFloat32:
    case DType::kComplex64:
      return put(out, i, static_cast<float>(real));
    case DType::kFloat64:
    case DType::kComplex128:
      return put(out, i, real);
  }
}

}  // namespace umbel::aggregate
