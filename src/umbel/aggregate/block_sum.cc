#include "umbel/aggregate/block_sum.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "umbel/aggregate/rounded_mean.h"
#include "umbel/aggregate/widen.h"
#include "umbel/base/check.h"
#include "umbel/base/parallel.h"
#include "umbel/kernel/exact_fold.h"

namespace umbel::aggregate {

namespace {

constexpr int kGridStep = 8;       // exponents are rounded up to a multiple of this
constexpr int kColumnsSpan = 128;  // columns this far below the greatest are dropped
constexpr size_t kSpareMax = 8;
constexpr int kLiftMax = 1000;
constexpr size_t kColumnsFast = kernel::kColumnsSpanFast / kGridStep + 1;
constexpr float kDenormalsMatter = 0x1p-40f;
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

}  // namespace

Column& BlockSum::column(int exponent, const Shape& shape) {
  for (Column& column : columns_) {
    if (column.exponent() == exponent) return column;
  }
  const bool at_home = shape.home && std::ranges::none_of(columns_, [&](const Column& column) {
                         return column.memory() == shape.home;
                       });
  if (at_home) return columns_.emplace_back(shape.width, exponent, shape.reals, shape.home);
  const auto spare = std::ranges::find_if(spare_, [&](const Column& column) {
    return column.width() == shape.width && column.reals() == shape.reals;
  });
  if (spare == spare_.end()) return columns_.emplace_back(shape.width, exponent, shape.reals);
  spare->reset(exponent);
  columns_.push_back(std::move(*spare));
  spare_.erase(spare);
  return columns_.back();
}

uint32_t BlockSum::add_floats(std::span<const float* const> x, std::span<const double> weights,
                              const Shape& shape) {
  const DenormalMode exact(DenormalMode::kExact);
  const kernel::Loops& loops = kernel::loops();
  uint32_t bad = 0;
  int exponents[kPiecesMax];
  bool tiny = false;
  uint32_t most[kPiecesMax];
  loops.max_bits_float(x.data(), x.size(), shape.reals, most);
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
    double scale[kPiecesMax];
    const double unit = std::ldexp(1.0, kernel::kNarrowBits - exponent);
    size_t count = 0;
    int64_t balance = 0;
    for (size_t k = first; k != x.size(); ++k) {
      if (exponents[k] != exponent) continue;
      group[count] = x[k];
      scale[count++] = weights[k] * unit;
      balance += weights[k] > 0 ? 1 : -1;
      exponents[k] = INT32_MIN;
    }
    Column& sums = column(exponent, shape);
    sums.make_room(count, balance);
    loops.add_float(sums.sums(), shape.reals, group, scale, count);
  }
  return bad;
}

bool BlockSum::add_doubles(const double* x, double weight, const Shape& shape) {
  const DenormalMode mode(DenormalMode::kExact);
  const kernel::Loops& loops = kernel::loops();
  const auto largest = std::bit_cast<double>(loops.max_bits_double(x, shape.reals));
  if (!std::isfinite(largest)) return false;
  if (largest == 0) return true;
  // The products are taken times a power of two that brings them near 1, where none leaves double's
  // range; the grid is moved by as much.
  int shift = 0;
  const double fraction = std::frexp(weight, &shift);
  const int lift = std::clamp(-std::ilogb(largest), -kLiftMax, kLiftMax);
  const double scaled = std::ldexp(fraction, lift);
  shift -= lift;
  const int exponent = grid_exponent(largest * std::fabs(scaled), shift);
  Column& sums = column(exponent, shape);
  sums.make_room(1, weight > 0 ? 1 : -1);
  if (shape.width == Column::kNarrow) {
    const double scale = std::ldexp(scaled, kernel::kNarrowBits - (exponent - shift));
    loops.add_double(sums.sums(), shape.reals, x, scale);
  } else {
    loops.add_wide(sums.sums(), sums.lo(), shape.reals, x, scaled, exponent - shift);
  }
  return true;
}

uint32_t BlockSum::add(DType dtype, std::span<const Piece> pieces, size_t elements,
                       std::byte* home) {
  UMBEL_DCHECK(pieces.size() <= kPiecesMax && elements <= kElements);
  const size_t reals = elements * reals_per_element(dtype);
  const Shape shape{width_of(dtype), reals, home};
  const bool half = dtype == DType::kFloat16 || dtype == DType::kBfloat16;
  const float* floats[kPiecesMax];
  double weights[kPiecesMax];
  size_t which[kPiecesMax];
  size_t count = 0;
  uint32_t bad = 0;
  alignas(64) thread_local float halves[kPiecesMax / 4][kElements];
  alignas(64) thread_local double wide[2][2 * kElements];

  auto flush = [&] {
    const uint32_t refused = add_floats({floats, count}, {weights, count}, shape);
    for (size_t k = 0; k != count; ++k) bad |= ((refused >> k) & 1u) << which[k];
    count = 0;
  };
  for (size_t k = 0; k != pieces.size(); ++k) {
    const auto& [data, weight] = pieces[k];
    if (shape.width == Column::kNarrow && exact_with_floats(weight)) {
      if (half && count == std::size(halves)) flush();
      if (half) widen(dtype, data, reals, halves[count]);
      floats[count] = half ? halves[count] : reinterpret_cast<const float*>(data);
      weights[count] = weight;
      which[count++] = k;
      continue;
    }
    bool usable = true;
    if (dtype == DType::kFloat64 || dtype == DType::kComplex128) {
      usable = add_doubles(reinterpret_cast<const double*>(data), weight, shape);
    } else if (dtype == DType::kInt64 || dtype == DType::kUint64) {
      split_wide(dtype, data, reals, wide[0], wide[1]);
      usable = add_doubles(wide[0], weight, shape) && add_doubles(wide[1], weight, shape);
    } else {
      const DenormalMode mode(DenormalMode::kExact);
      widen(dtype, data, reals, wide[0]);
      usable = add_doubles(wide[0], weight, shape);
    }
    if (!usable) bad |= 1u << k;
  }
  if (count) flush();
  return bad;
}

void BlockSum::merge(const BlockSum& other, std::byte* home) {
  for (const Column& theirs : other.columns_) {
    const Shape shape{theirs.width(), theirs.reals(), home};
    column(theirs.exponent(), shape).merge(theirs);
  }
  trim();
}

void BlockSum::trim() {
  if (columns_.size() < 2) return;
  const int greatest = std::ranges::max_element(columns_, {}, &Column::exponent)->exponent();
  std::erase_if(columns_, [&](const Column& c) { return c.exponent() <= greatest - kColumnsSpan; });
}

void BlockSum::forget_empty() {
  std::erase_if(columns_, [](const Column& c) { return c.pieces() == 0; });
}

// Whether mean_float can take all columns: a question of what was added, not of how it was grouped
// nor of what was taken out again, since the loops may round a tie differently.
bool BlockSum::fit_loop(double divisor) const {
  const int least = std::ranges::min_element(columns_, {}, &Column::exponent)->exponent();
  const int most = std::ranges::max_element(columns_, {}, &Column::exponent)->exponent();
  return most - least <= kernel::kColumnsSpanFast && least >= -kLoopExponentMax &&
         most <= kLoopExponentMax && divisor <= kLoopDivisorMax && divisor >= 1 / kLoopDivisorMax &&
         std::ranges::all_of(columns_,
                             [](const Column& c) { return c.pieces() <= kernel::kProductsFast; });
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
    std::ranges::transform(columns_, columns, &Column::view);
    kernel::loops().mean_float(reinterpret_cast<float*>(out), columns, columns_.size(), reals,
                               divisor.high);
  } else {
    std::vector<FixedPoint> terms(columns_.size());
    for (size_t i = 0; i != reals; ++i) {
      for (size_t c = 0; c != columns_.size(); ++c) {
        terms[c] = {columns_[c].value(i), columns_[c].unit()};
      }
      store_rounded(dtype, out, i, divide(sum_of(terms), divisor));
    }
  }
}

void BlockSum::clear() {
  for (Column& column : columns_) {
    if (spare_.size() < kSpareMax && column.owns_memory()) spare_.push_back(std::move(column));
  }
  columns_.clear();
}

size_t BlockSum::byte_size() const {
  size_t bytes = sizeof *this + (columns_.capacity() + spare_.capacity()) * sizeof(Column);
  for (const Column& c : columns_) bytes += c.byte_size();
  for (const Column& c : spare_) bytes += c.byte_size();
  return bytes;
}

}  // namespace umbel::aggregate
