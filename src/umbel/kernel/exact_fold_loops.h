// The loops behind exact_fold.h.  Included once per instruction set, inside a namespace of its own
// and with nothing but built-in types, so that no inline function of a library is compiled for an
// instruction set that another processor lacks.
#include <stddef.h>
#include <stdint.h>

namespace {

inline uint64_t bits_of(double x) { return __builtin_bit_cast(uint64_t, x); }

// 1.5 * 2^exponent: adding it to x rounds x to a multiple of 2^(exponent - 52) and leaves that
// multiple, as an integer, in the low bits of the sum.
inline double rounder(int exponent) {
  return __builtin_bit_cast(double,
                            (static_cast<uint64_t>(exponent + 1023) << 52) | (uint64_t{1} << 51));
}
inline double power_of_two(int exponent) {
  return __builtin_bit_cast(double, static_cast<uint64_t>(exponent + 1023) << 52);
}

uint32_t max_bits_float(const float* x, size_t n) {
  uint32_t most = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, x[i]) & 0x7fffffffu;
    most = bits > most ? bits : most;
  }
  return most;
}

uint64_t max_bits_double(const double* x, size_t n) {
  // Comparing as signed lets every target use its compare instruction; the sign bit is clear.
  int64_t most = 0;
  for (size_t i = 0; i < n; ++i) {
    const int64_t bits = __builtin_bit_cast(int64_t, x[i]) & INT64_MAX;
    most = bits > most ? bits : most;
  }
  return static_cast<uint64_t>(most);
}

// Adds what one pass collected: carries the fraction's excess into hi.  |fraction| < 2^40, so the
// bias turns the arithmetic shift, which AVX2 lacks, into a logical one.
inline void store(int64_t* hi, uint32_t* lo, size_t i, uint64_t units, uint64_t fraction) {
  const uint64_t sum = fraction + lo[i];
  lo[i] = static_cast<uint32_t>(sum);
  const uint64_t carry = ((sum + (uint64_t{1} << 62)) >> 32) - (uint64_t{1} << 30);
  hi[i] = static_cast<int64_t>(static_cast<uint64_t>(hi[i]) + units + carry);
}

template <size_t K>
inline __attribute__((always_inline)) void add_float_k(int64_t* __restrict hi,
                                                       uint32_t* __restrict lo, size_t n,
                                                       const float* const* x, const double* weight,
                                                       int exponent) {
  const double unit = rounder(exponent + 6);       // rounds to 2^(exponent - 46)
  const double fraction = rounder(exponent - 26);  // rounds to 2^(exponent - 78)
  const uint64_t unit_bias = K * bits_of(unit);
  const uint64_t fraction_bias = K * bits_of(fraction);
  const float* source[K];
  double scale[K];
  for (size_t k = 0; k < K; ++k) {
    source[k] = x[k];
    scale[k] = weight[k];
  }
  for (size_t i = 0; i < n; ++i) {
    uint64_t units = 0;
    uint64_t fractions = 0;
#pragma GCC unroll 8
    for (size_t k = 0; k < K; ++k) {
      const double product = scale[k] * static_cast<double>(source[k][i]);
      const double rounded = product + unit;
      units += bits_of(rounded);
      const double rest = product - (rounded - unit);
      fractions += bits_of(rest + fraction);
    }
    store(hi, lo, i, units - unit_bias, fractions - fraction_bias);
  }
}

void add_float(int64_t* hi, uint32_t* lo, size_t n, const float* const* x, const double* weight,
               size_t k, int exponent) {
  for (; k >= 8; k -= 8, x += 8, weight += 8) add_float_k<8>(hi, lo, n, x, weight, exponent);
  switch (k) {
    case 7:
      add_float_k<7>(hi, lo, n, x, weight, exponent);
      break;
    case 6:
      add_float_k<6>(hi, lo, n, x, weight, exponent);
      break;
    case 5:
      add_float_k<5>(hi, lo, n, x, weight, exponent);
      break;
    case 4:
      add_float_k<4>(hi, lo, n, x, weight, exponent);
      break;
    case 3:
      add_float_k<3>(hi, lo, n, x, weight, exponent);
      break;
    case 2:
      add_float_k<2>(hi, lo, n, x, weight, exponent);
      break;
    case 1:
      add_float_k<1>(hi, lo, n, x, weight, exponent);
      break;
    default:
      break;
  }
}

void add_double(int64_t* __restrict hi, uint32_t* __restrict lo, size_t n,
                const double* __restrict x, double weight, int exponent) {
  const double unit = rounder(exponent + 6);
  const double fraction = rounder(exponent - 26);
  const uint64_t unit_bias = bits_of(unit);
  const uint64_t fraction_bias = bits_of(fraction);
  for (size_t i = 0; i < n; ++i) {
    const double product = weight * x[i];
    const double error = __builtin_fma(weight, x[i], -product);
    const double rounded = product + unit;
    const double rest = (product - (rounded - unit)) + error;
    store(hi, lo, i, bits_of(rounded) - unit_bias, bits_of(rest + fraction) - fraction_bias);
  }
}

void mean_float(float* __restrict out, const int64_t* __restrict hi, const uint32_t* __restrict lo,
                size_t n, int exponent, double divisor) {
  // Both factors are applied one after the other: their product may leave double's range.
  const double inverse = 1 / divisor;
  const double unit = power_of_two(exponent - 78);
  for (size_t i = 0; i < n; ++i) {
    const double sum = static_cast<double>(hi[i]) * 0x1p32 + static_cast<double>(lo[i]);
    out[i] = static_cast<float>(sum * inverse * unit);
  }
}

}  // namespace
