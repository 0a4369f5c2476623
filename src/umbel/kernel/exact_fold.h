#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace umbel::kernel {

// Sums of products in 96-bit fixed point.
//
// A column of sums is two arrays: element i stands for (hi[i] * 2^32 + lo[i]) * 2^(exponent - 78).
// A product p is rounded once, to a multiple of 2^(exponent - 78), and from then on only integers
// are added; so the sum does not depend on the order of the additions, and adding -p takes p out
// again to the last bit.  Every |p| must be at most 2^exponent: then the rounding error is at most
// 2^-79 of that bound, and hi holds 2^17 products.
//
// One column of sums, as above.
struct Column {
  const int64_t* hi;
  const uint32_t* lo;
  int exponent;
};
inline constexpr int kColumnsSpanFast = 24;  // of the exponents that mean_float takes together

// All targets give the same bits.  Pointers need no alignment.  Nothing here allocates or throws.
// Denormal inputs count only while the calling thread computes them exactly (DenormalMode).
struct Loops {
  const char* target;  // "avx512"

  // most[j] is the largest |x[j][i]| as its bit pattern, for each of k arrays; NaN and infinity
  // exceed every finite number.
  void (*max_bits_float)(const float* const* x, size_t k, size_t n, uint32_t* most);
  uint64_t (*max_bits_double)(const double* x, size_t n);

  // sum[i] += weight[0] * x[0][i] + ... + weight[k-1] * x[k-1][i].  Every product must be exact in
  // double: weights are integers of at most 29 bits.
  void (*add_float)(int64_t* hi, uint32_t* lo, size_t n, const float* const* x,
                    const double* weight, size_t k, int exponent);
  // sum[i] += weight * x[i] for any finite weight: the product is taken to 106 bits.
  void (*add_double)(int64_t* hi, uint32_t* lo, size_t n, const double* x, double weight,
                     int exponent);
  // out[i] = the sum over the columns / divisor, with a relative error below 2^-50 before the
  // rounding to float.  Their exponents, multiples of 8, span at most kColumnsSpanFast; at least
  // one column and at most 64.
  void (*mean_float)(float* out, const Column* columns, size_t count, size_t n, double divisor);
};

inline constexpr int kFractionBits = 78;
inline constexpr uint64_t kProductsMax = uint64_t{1} << 17;

// The fastest loops that this processor runs.
const Loops& loops();
// All that this processor runs, plainest first; for tests and benchmarks.
std::vector<const Loops*> all_loops();

}  // namespace umbel::kernel
