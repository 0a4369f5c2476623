#include "umbel/aggregate/block_sum.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "umbel/aggregate/rounded_mean.h"
#include "umbel/base/check.h"
#include "umbel/base/parallel.h"
#include "umbel/kernel/exact_fold.h"
#include "umbel/record/half.h"

namespace umbel::aggregate {

namespace {

constexpr int kGridStep = 8;       // exponents are rounded up to a multiple of this
constexpr int kColumnsSpan = 128;  // columns this far below the greatest are dropped
constexpr size_t kSpareMax = 8;
constexpr int kShiftMax = 1000;
constexpr size_t kColumnsFast = kernel::kColumnsSpanFast / kGridStep + 1;
constexpr float kDenormalsMatter = 0x1p-40f;
constexpr int kOverflowShift = 40;
constexpr double kExactWeightMax = 0x1p29;
// Within these the vector loop for the mean stays in double's range.
constexpr int kLoopExponentMax = 300;
constexpr double kLoopDivisorMax = 0x1p300;

// The exponent of a power of two that is at least largest * 2^shift, on the coarse scale of the
// grids.
int grid_exponent(double largest, int shift = 0) {
  const int above = std::ilogb(largest) + 1 + shift;
  return static_cast<int>(std::ceil(above / static_cast<double>(kGridStep))) * kGridStep;
}

// Whether weight times any float is exact in double.
bool exact_with_floats(double weight) {
  return std::fabs(weight) < kExactWeightMax && weight == std::trunc(weight);
}

template <class T>
const T* as(const std::byte* data) {
  return reinterpret_cast<const T*>(data);
}

// Elements of a narrow type, widened exactly.
template <class To, class From>
void widen(const std::byte* data, size_t n, To* out) {
  const From* x = as<From>(data);
  for (size_t i = 0; i != n; ++i) {
    if constexpr (std::is_enum_v<From>) {
      out[i] = to_float(x[i]);
    } else {
      out[i] = static_cast<To>(x[i]);
    }
  }
}

void widen_to_double(DType dtype, const std::byte* data, size_t n, double* out) {
  switch (dtype) {
    case DType::kBool:
      for (size_t i = 0; i != n; ++i) out[i] = data[i] != std::byte{0};
      return;
    case DType::kInt8:
      return widen<double, int8_t>(data, n, out);
    case DType::kInt16:
      return widen<double, int16_t>(data, n, out);
    case DType::kInt32:
      return widen<double, int32_t>(data, n, out);
    case DType::kUint8:
      return widen<double, uint8_t>(data, n, out);
    case DType::kUint16:
      return widen<double, uint16_t>(data, n, out);
    case DType::kUint32:
      return widen<double, uint32_t>(data, n, out);
    case DType::kFloat32:
      return widen<double, float>(data, n, out);
    default:
      UMBEL_CHECK(false);
  }
}

// 64-bit integers as two doubles, each exact: value = high * 2^32 + low.
void split_wide(DType dtype, const std::byte* data, size_t n, double* high, double* low) {
  for (size_t i = 0; i != n; ++i) {
    if (dtype == DType::kInt64) {
      high[i] = static_cast<double>(as<int64_t>(data)[i] >> 32) * 0x1p32;
    } else {
      high[i] = static_cast<double>(as<uint64_t>(data)[i] >> 32) * 0x1p32;
    }
    low[i] = static_cast<double>(static_cast<uint32_t>(as<uint64_t>(data)[i]));
  }
}

}  // namespace

BlockSum::Column::Column(int exponent, size_t reals)
    : exponent(exponent), products(0), pieces(0), reals(reals), sums(Buffer::zeros(reals * 12)) {}

// Keeps |hi| below 2^63: moves all but its low 40 bits into the overflow array in good time.
void BlockSum::Column::make_room(uint64_t products_coming) {
  if (products + products_coming <= kernel::kProductsMax / 2) {
    products += products_coming;
    return;
  }
  if (overflow.empty()) overflow = Buffer::zeros(reals * sizeof(int64_t));
  auto* carries = reinterpret_cast<int64_t*>(overflow.mutable_bytes().data());
  int64_t* sum = hi();
  for (size_t i = 0; i != reals; ++i) {
    carries[i] += sum[i] >> kOverflowShift;
    sum[i] &= (int64_t{1} << kOverflowShift) - 1;
  }
  products = products_coming;
}

void BlockSum::Column::merge(const Column& other) {
  make_room(other.products);
  pieces += other.pieces;
  if (!other.overflow.empty() && overflow.empty())
    overflow = Buffer::zeros(reals * sizeof(int64_t));
  auto* carries =
      overflow.empty() ? nullptr : reinterpret_cast<int64_t*>(overflow.mutable_bytes().data());
  int64_t* sum = hi();
  uint32_t* fraction = lo();
  for (size_t i = 0; i != reals; ++i) {
    const uint64_t low = uint64_t{fraction[i]} + other.lo()[i];
    fraction[i] = static_cast<uint32_t>(low);
    sum[i] += other.hi()[i] + static_cast<int64_t>(low >> 32);
    if (!other.overflow.empty()) carries[i] += other.top()[i];
  }
}

__int128 BlockSum::Column::value(size_t i) const {
  __int128 units = hi()[i];
  if (!overflow.empty()) units += static_cast<__int128>(top()[i]) * (int64_t{1} << kOverflowShift);
  return units * (int64_t{1} << 32) + lo()[i];
}

// Asks for nothing that pieces which were added and taken out again leave behind: their traces in
// `products` and `overflow` must not choose between loops that may round differently.
bool BlockSum::Column::fits_loop(double divisor) const {
  return pieces <= static_cast<int64_t>(kernel::kProductsMax / 2) &&
         std::abs(exponent) <= kLoopExponentMax && divisor <= kLoopDivisorMax &&
         divisor >= 1 / kLoopDivisorMax;
}

std::vector<int64_t> BlockSum::Column::without_overflow() const {
  std::vector<int64_t> whole(hi(), hi() + reals);
  for (size_t i = 0; i != reals; ++i) whole[i] += top()[i] * (int64_t{1} << kOverflowShift);
  return whole;
}

BlockSum::Column& BlockSum::column(int exponent, size_t reals) {
  for (Column& column : columns_) {
    if (column.exponent == exponent) return column;
  }
  const auto spare = std::ranges::find(spare_, reals, &Column::reals);
  if (spare != spare_.end()) {
    Column reused = std::move(*spare);
    spare_.erase(spare);
    std::ranges::fill(reused.sums.mutable_bytes(), std::byte{0});
    reused.overflow = Buffer();
    reused.products = 0;
    reused.pieces = 0;
    reused.exponent = exponent;
    return columns_.emplace_back(std::move(reused));
  }
  return columns_.emplace_back(exponent, reals);
}

uint32_t BlockSum::add_floats(std::span<const float* const> x, std::span<const double> weights,
                              size_t reals) {
  const DenormalMode exact(DenormalMode::kExact);
  const kernel::Loops& loops = kernel::loops();
  uint32_t bad = 0;
  int exponents[kPiecesMax];
  bool tiny = false;
  uint32_t most[kPiecesMax];
  loops.max_bits_float(x.data(), x.size(), reals, most);
  for (size_t k = 0; k != x.size(); ++k) {
    const auto largest = std::bit_cast<float>(most[k]);
    exponents[k] = INT32_MIN;
    if (!std::isfinite(largest)) {
      bad |= 1u << k;
    } else if (largest != 0) {
      tiny |= largest < kDenormalsMatter;
      exponents[k] = grid_exponent(static_cast<double>(largest) * std::fabs(weights[k]));
    }
  }
  const DenormalMode mode(tiny ? DenormalMode::kExact : DenormalMode::kFlush);
  // Pieces of one grid go in one pass, whatever stands between them.
  for (size_t first = 0; first != x.size(); ++first) {
    const int exponent = exponents[first];
    if (exponent == INT32_MIN) continue;
    const float* group[kPiecesMax];
    double weight[kPiecesMax];
    size_t count = 0;
    for (size_t k = first; k != x.size(); ++k) {
      if (exponents[k] != exponent) continue;
      group[count] = x[k];
      weight[count++] = weights[k];
      exponents[k] = INT32_MIN;
    }
    Column& sums = column(exponent, reals);
    sums.make_room(count);
    for (size_t k = 0; k != count; ++k) sums.pieces += weight[k] > 0 ? 1 : -1;
    loops.add_float(sums.hi(), sums.lo(), reals, group, weight, count, exponent);
  }
  return bad;
}

bool BlockSum::add_doubles(const double* x, double weight, size_t reals) {
  const DenormalMode mode(DenormalMode::kExact);
  const kernel::Loops& loops = kernel::loops();
  const auto largest = std::bit_cast<double>(loops.max_bits_double(x, reals));
  if (!std::isfinite(largest)) return false;
  if (largest == 0) return true;
  // The products are taken times a power of two that brings them near 1, where none leaves double's
  // range; the grid is moved by as much.
  int shift = 0;
  const double fraction = std::frexp(weight, &shift);
  const int lift = std::clamp(-std::ilogb(largest), -kShiftMax, kShiftMax);
  const double scaled = std::ldexp(fraction, lift);
  shift -= lift;
  const int exponent = grid_exponent(largest * std::fabs(scaled), shift);
  Column& sums = column(exponent, reals);
  sums.make_room(1);
  sums.pieces += weight > 0 ? 1 : -1;
  loops.add_double(sums.hi(), sums.lo(), reals, x, scaled, exponent - shift);
  return true;
}

uint32_t BlockSum::add(DType dtype, std::span<const Piece> pieces, size_t elements) {
  UMBEL_DCHECK(pieces.size() <= kPiecesMax && elements <= kElements);
  const size_t reals = elements * reals_per_element(dtype);
  const bool plain = dtype == DType::kFloat32 || dtype == DType::kComplex64;
  const bool half = dtype == DType::kFloat16 || dtype == DType::kBfloat16;
  const float* floats[kPiecesMax];
  double weights[kPiecesMax];
  size_t which[kPiecesMax];
  size_t count = 0;
  uint32_t bad = 0;
  alignas(64) thread_local float halves[kPiecesMax / 4][kElements];
  alignas(64) thread_local double wide[2][2 * kElements];

  auto flush = [&] {
    const uint32_t refused = add_floats({floats, count}, {weights, count}, reals);
    for (size_t k = 0; k != count; ++k) bad |= ((refused >> k) & 1u) << which[k];
    count = 0;
  };
  for (size_t k = 0; k != pieces.size(); ++k) {
    const auto& [data, weight] = pieces[k];
    if ((plain || half) && exact_with_floats(weight)) {
      if (half && count == std::size(halves)) flush();
      if (dtype == DType::kFloat16) widen<float, Float16>(data, reals, halves[count]);
      if (dtype == DType::kBfloat16) widen<float, Bfloat16>(data, reals, halves[count]);
      floats[count] = half ? halves[count] : as<float>(data);
      weights[count] = weight;
      which[count++] = k;
      continue;
    }
    bool usable = true;
    if (dtype == DType::kFloat64 || dtype == DType::kComplex128) {
      usable = add_doubles(as<double>(data), weight, reals);
    } else if (dtype == DType::kInt64 || dtype == DType::kUint64) {
      split_wide(dtype, data, reals, wide[0], wide[1]);
      usable = add_doubles(wide[0], weight, reals) && add_doubles(wide[1], weight, reals);
    } else {
      const DenormalMode mode(DenormalMode::kExact);
      if (dtype == DType::kFloat16) {
        widen<double, Float16>(data, reals, wide[0]);
      } else if (dtype == DType::kBfloat16) {
        widen<double, Bfloat16>(data, reals, wide[0]);
      } else {
        widen_to_double(plain ? DType::kFloat32 : dtype, data, reals, wide[0]);
      }
      usable = add_doubles(wide[0], weight, reals);
    }
    if (!usable) bad |= 1u << k;
  }
  if (count) flush();
  return bad;
}

void BlockSum::merge(const BlockSum& other, size_t reals) {
  for (const Column& theirs : other.columns_) column(theirs.exponent, reals).merge(theirs);
  trim();
}

void BlockSum::trim() {
  if (columns_.size() < 2) return;
  const int greatest = std::ranges::max(columns_, {}, &Column::exponent).exponent;
  std::erase_if(columns_, [&](const Column& c) { return c.exponent <= greatest - kColumnsSpan; });
}

void BlockSum::forget_empty() {
  std::erase_if(columns_, [](const Column& c) { return c.pieces == 0; });
}

// Whether mean_float can take all columns: a question of what was added, not of how it was grouped.
bool BlockSum::fit_loop(double divisor) const {
  const int least = std::ranges::min(columns_, {}, &Column::exponent).exponent;
  const int most = std::ranges::max(columns_, {}, &Column::exponent).exponent;
  return most - least <= kernel::kColumnsSpanFast &&
         std::ranges::all_of(columns_, [&](const Column& c) { return c.fits_loop(divisor); });
}

void BlockSum::mean(DType dtype, std::byte* out, size_t elements,
                    const kernel::ExactSum::Pair& divisor) const {
  const DenormalMode mode(DenormalMode::kExact);
  const size_t reals = elements * reals_per_element(dtype);
  const bool floats = dtype == DType::kFloat32 || dtype == DType::kComplex64;
  if (columns_.empty()) {
    std::memset(out, 0, elements * size_of(dtype));
  } else if (floats && fit_loop(divisor.high)) {
    kernel::Column columns[kColumnsFast];
    std::vector<int64_t> whole[kColumnsFast];
    for (size_t c = 0; c != columns_.size(); ++c) {
      const Column& sums = columns_[c];
      if (!sums.overflow.empty()) whole[c] = sums.without_overflow();
      columns[c] = {whole[c].empty() ? sums.hi() : whole[c].data(), sums.lo(), sums.exponent};
    }
    kernel::loops().mean_float(reinterpret_cast<float*>(out), columns, columns_.size(), reals,
                               divisor.high);
  } else {
    std::vector<FixedPoint> terms(columns_.size());
    for (size_t i = 0; i != reals; ++i) {
      for (size_t c = 0; c != columns_.size(); ++c) {
        terms[c] = {columns_[c].value(i), columns_[c].exponent - kernel::kFractionBits};
      }
      store_rounded(dtype, out, i, divide(sum_of(terms), divisor));
    }
  }
}

void BlockSum::clear() {
  for (Column& column : columns_) {
    if (spare_.size() < kSpareMax) spare_.push_back(std::move(column));
  }
  columns_.clear();
}

size_t BlockSum::byte_size() const {
  size_t bytes = sizeof *this;
  for (const Column& c : columns_) bytes += sizeof c + c.sums.size() + c.overflow.size();
  for (const Column& c : spare_) bytes += sizeof c + c.sums.size() + c.overflow.size();
  return bytes;
}

}  // namespace umbel::aggregate
