#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace umbel::kernel {

// Sums of products in fixed point, on grids that are powers of two.
//
// A product p is rounded once, to a multiple of the grid's step, and from then on only integers are
// added; so the sum does not depend on the order of the additions, and adding -p takes p out again
// to the last bit.  Every |p| must be at most 2^exponent.
//
// Narrow sums are one array: element i stands for sum[i] * 2^(exponent - 55).  A product is wrong
// by at most 2^-56 of the bound, and 255 of them fit.  More do once sums are carried (Column::top).
//
// Wide sums are two arrays: (hi[i] * 2^32 + lo[i]) * 2^(exponent - 78).  A product is wrong by at
// most 2^-79 of the bound, and hi holds 2^17 of them.
inline constexpr int kNarrowBits = 55;
inline constexpr uint64_t kNarrowProductsMax = 255;
inline constexpr int kWideBits = 78;
inline constexpr uint64_t kWideProductsMax = uint64_t{1} << 17;

// One column of narrow sums, for the mean: (top[i] * 2^60 + sum[i]) * 2^(exponent - 55).
inline constexpr int kTopShift = 60;
struct Column {
  const int64_t* sum;
  const int32_t* top;  // or nullptr
  int exponent;
};
inline constexpr int kColumnsSpanFast = 24;  // of the exponents that mean_float takes
inline constexpr int64_t kProductsFast = int64_t{1} << 15;  // and the products in a column

// All targets give the same bits.  Pointers need no alignment.  Nothing here allocates or throws.
// Denormal inputs count only while the calling thread computes them exactly (DenormalMode).
struct Loops {
  const char* target;  // "avx512"

  // most[j] is the largest |x[j][i]| as its bit pattern, for each of k arrays; NaN and infinity
  // exceed every finite number.
  void (*max_bits_float)(const float* const* x, size_t k, size_t n, uint32_t* most);
  uint64_t (*max_bits_double)(const double* x, size_t n);

  // Narrow: sum[i] += scale[0] * x[0][i] + ... + scale[k-1] * x[k-1][i], each product rounded to an
  // integer, ties to even.  scale = weight * 2^(55 - exponent); every product must be exact in
  // double: weights are integers of at most 29 bits.
  void (*add_float)(int64_t* sum, size_t n, const float* const* x, const double* scale, size_t k);
  // The same for any finite weight: the product is taken to 106 bits.
  void (*add_double)(int64_t* sum, size_t n, const double* x, double scale);
  // out[i] = the narrow sum over the columns / divisor, with a relative error below 2^-50 before
  // the rounding to float.  Their exponents, multiples of 8, span at most kColumnsSpanFast; at
  // least one column, at most 64, and at most kProductsFast products in each.
  void (*mean_float)(float* out, const Column* columns, size_t count, size_t n, double divisor);

  // Wide: sum[i] += weight * x[i] for any finite weight: the product is taken to 106 bits.
  void (*add_wide)(int64_t* hi, uint32_t* lo, size_t n, const double* x, double weight,
                   int exponent);
};

// The fastest loops that this processor runs.
const Loops& loops();
// All that this processor runs, plainest first; for tests and benchmarks.
std::vector<const Loops*> all_loops();

}  // namespace umbel::kernel
