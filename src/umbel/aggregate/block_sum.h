#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "umbel/base/buffer.h"
#include "umbel/kernel/exact_sum.h"
#include "umbel/record/dtype.h"

namespace umbel::aggregate {

// The exact, order-free sum of weighted pieces of one tensor: up to kElements elements of it.
//
// A weighted piece is rounded once, on a grid 2^-71 or more below its own largest product, and from
// then on only integers are added (kernel/exact_fold.h).  Pieces of very different magnitude have
// grids of their own, a column of sums for each.  Columns 2^-120 and more below the greatest one
// cannot change the mean within its bound; trim() drops them, so memory does not grow with the
// number of pieces.  docs/folding.md derives the bounds.
//
// Complex elements are pairs of reals.  One thread at a time.
class BlockSum {
 public:
  static constexpr size_t kElements = 2048;  // a piece and its sums fit the first-level cache
  static constexpr size_t kPiecesMax = 32;   // in one call

  struct Piece {
    const std::byte* data;  // `elements` elements of the tensor's dtype
    double weight;          // finite, not 0; negative takes an earlier addition out again
  };

  // Adds all pieces that are usable and says which are not: bit k is set if piece k holds NaN or an
  // infinity.  Those change nothing.
  uint32_t add(DType dtype, std::span<const Piece> pieces, size_t elements);
  void merge(const BlockSum& other, size_t reals);
  void trim();
  // Drops columns from which every piece has been taken out again.
  void forget_empty();

  // out[i] = sum[i] / divisor, rounded to dtype: to nearest, ties to even.
  void mean(DType dtype, std::byte* out, size_t elements,
            const kernel::ExactSum::Pair& divisor) const;

  void clear();
  size_t byte_size() const;

 private:
  // hi and lo of kernel/exact_fold.h, and above them, once hi has had 2^16 products, the carries.
  struct Column {
    int exponent;
    uint64_t products;  // since hi was last carried into overflow
    int64_t pieces;     // added less taken out
    size_t reals;
    Buffer sums;      // int64 hi[reals], uint32 lo[reals]
    Buffer overflow;  // int64 top[reals], in units of 2^40 of hi; empty until needed

    Column(int exponent, size_t reals);
    int64_t* hi() { return reinterpret_cast<int64_t*>(sums.mutable_bytes().data()); }
    uint32_t* lo() { return reinterpret_cast<uint32_t*>(hi() + reals); }
    const int64_t* hi() const { return reinterpret_cast<const int64_t*>(sums.data()); }
    const uint32_t* lo() const { return reinterpret_cast<const uint32_t*>(hi() + reals); }
    const int64_t* top() const { return reinterpret_cast<const int64_t*>(overflow.data()); }
    void make_room(uint64_t products_coming);
    void merge(const Column& other);
    bool fits_loop(double divisor) const;           // kernel::Loops::mean_float can divide it
    std::vector<int64_t> without_overflow() const;  // hi with the carries; requires fits_loop()
    __int128 value(size_t i) const;                 // in units of 2^(exponent - 78)
  };

  Column& column(int exponent, size_t reals);
  bool fit_loop(double divisor) const;
  uint32_t add_floats(std::span<const float* const> x, std::span<const double> weights,
                      size_t reals);
  bool add_doubles(const double* x, double weight, size_t reals);

  std::vector<Column> columns_;
  std::vector<Column> spare_;  // cleared ones, kept for their memory
};

// Numbers of the accumulator per element: 2 for complex types, else 1.
inline size_t reals_per_element(DType dtype) { return is_complex(dtype) ? 2 : 1; }

}  // namespace umbel::aggregate
