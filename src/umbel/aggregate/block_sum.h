#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "umbel/aggregate/column.h"
#include "umbel/kernel/exact_sum.h"
#include "umbel/record/dtype.h"

namespace umbel::aggregate {

// Numbers of the accumulator per element: 2 for complex types, else 1.
inline size_t reals_per_element(DType dtype) { return is_complex(dtype) ? 2 : 1; }
// Of a column of sums for a tensor of this type.  What fits in a float has narrow ones.
inline Column::Width width_of(DType dtype) {
  const bool narrow = dtype == DType::kFloat32 || dtype == DType::kComplex64 ||
                      dtype == DType::kFloat16 || dtype == DType::kBfloat16;
  return narrow ? Column::kNarrow : Column::kWide;
}

// The exact, order-free sum of weighted pieces of one tensor: up to kElements elements of it.
//
// A weighted piece is rounded once, on a grid 2^-48 (narrow) or 2^-71 (wide) or more below its own
// largest product, and from then on only integers are added (kernel/exact_fold.h).  Pieces of very
// different magnitude have grids of their own, a column of sums for each.  Columns 2^-120 and more
// below the greatest one cannot change the mean within its bound; trim() drops them, so memory does
// not grow with the number of pieces.  docs/folding.md derives the bounds.
//
// Complex elements are pairs of reals.  One thread at a time.
class BlockSum {
 public:
  static constexpr size_t kElements = 2048;  // a piece and its sums fit the first-level cache
  static constexpr size_t kPiecesMax = 32;   // in one call

  BlockSum() = default;
  BlockSum(BlockSum&&) noexcept = default;
  BlockSum& operator=(BlockSum&&) noexcept = default;

  struct Piece {
    const std::byte* data;  // `elements` elements of the tensor's dtype
    double weight;          // finite, not 0; negative takes an earlier addition out again
  };

  // Adds all pieces that are usable and says which are not: bit k is set if piece k holds NaN or an
  // infinity.  Those change nothing.  `home`: where a column of the dtype's width may be, the same
  // in every call; nullptr: columns have memory of their own.
  uint32_t add(DType dtype, std::span<const Piece> pieces, size_t elements,
               std::byte* home = nullptr);
  void merge(const BlockSum& other, std::byte* home = nullptr);
  bool empty() const { return columns_.empty(); }
  void trim();
  // Drops columns from which every piece has been taken out again.
  void forget_empty();

  // out[i] = sum[i] / divisor, rounded to dtype: to nearest, ties to even.
  void mean(DType dtype, std::byte* out, size_t elements,
            const kernel::ExactSum::Pair& divisor) const;

  void clear();
  size_t byte_size() const;  // beside homes

 private:
  struct Shape {
    Column::Width width;
    size_t reals;
    std::byte* home;
  };
  Column& column(int exponent, const Shape& shape);
  bool fit_loop(double divisor) const;
  uint32_t add_floats(std::span<const float* const> x, std::span<const double> weights,
                      const Shape& shape);
  bool add_doubles(const double* x, double weight, const Shape& shape);

  std::vector<Column> columns_;
  std::vector<Column> spare_;  // cleared ones, kept for their memory
};

}  // namespace umbel::aggregate
