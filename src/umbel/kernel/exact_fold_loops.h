// The loops behind exact_fold.h.  Included once per instruction set, inside a namespace of its own
// and with nothing but built-in types, so that no inline function of a library is compiled for an
// instruction set that another processor lacks.
#include <stddef.h>
#include <stdint.h>

namespace {

using umbel::kernel::Column;

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

// Sixteen bit patterns at once, whatever the target's registers hold.
typedef int32_t Bits16 __attribute__((vector_size(64)));

// The streams are read side by side: that keeps memory busier than one after the other.
template <size_t K>
void max_bits_k(const float* const* x, size_t n, uint32_t* most) {
  Bits16 lanes[K] = {};
  const Bits16 magnitude = Bits16{} + INT32_MAX;
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
#pragma GCC unroll 8
    for (size_t k = 0; k < K; ++k) {
      Bits16 bits;
      __builtin_memcpy(&bits, x[k] + i, sizeof bits);
      bits &= magnitude;
      lanes[k] = bits > lanes[k] ? bits : lanes[k];
    }
  }
  for (size_t k = 0; k < K; ++k) {
    int32_t greatest = 0;
    for (size_t lane = 0; lane < 16; ++lane)
      greatest = lanes[k][lane] > greatest ? lanes[k][lane] : greatest;
    for (size_t j = i; j < n; ++j) {
      const int32_t bits = __builtin_bit_cast(int32_t, x[k][j]) & INT32_MAX;
      greatest = bits > greatest ? bits : greatest;
    }
    most[k] = static_cast<uint32_t>(greatest);
  }
}

void max_bits_float(const float* const* x, size_t k, size_t n, uint32_t* most) {
  for (; k >= 8; k -= 8, x += 8, most += 8) max_bits_k<8>(x, n, most);
  switch (k) {
    case 7:
      return max_bits_k<7>(x, n, most);
    case 6:
      return max_bits_k<6>(x, n, most);
    case 5:
      return max_bits_k<5>(x, n, most);
    case 4:
      return max_bits_k<4>(x, n, most);
    case 3:
      return max_bits_k<3>(x, n, most);
    case 2:
      return max_bits_k<2>(x, n, most);
    case 1:
      return max_bits_k<1>(x, n, most);
    default:
      return;
  }
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
  const auto add = [&](size_t first, size_t last) __attribute__((always_inline)) {
    for (size_t i = first; i < last; ++i) {
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
  };
  // Long arrays are folded a block at a time: this loop computes, the look for the largest that
  // comes before it waits for memory.  So it asks for the blocks behind these.
  constexpr size_t kStep = 64;  // four cache lines
  size_t i = 0;
  for (; i + kStep <= n; i += kStep) {
    for (size_t k = 0; k < K; ++k) {
      // An address past the array's end is never read: a prefetch cannot fault.
      const uintptr_t behind = reinterpret_cast<uintptr_t>(source[k] + i) + sizeof(float) * n;
      for (size_t line = 0; line < 4; ++line) {
        __builtin_prefetch(reinterpret_cast<const void*>(behind + 64 * line), 0, 2);
      }
    }
    add(i, i + kStep);
  }
  add(i, n);
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

// The sums of one piece as three numbers of 32 bits and some, so that columns on several grids add
// up exactly: 2^64, 2^32 and 1 times 2^(exponent - 78) of the finest.
struct Limbs {
  static constexpr size_t kPiece = 256;
  uint64_t high[kPiece];
  uint64_t middle[kPiece];
  uint64_t low[kPiece];
};

// An arithmetic shift by 32, which AVX2 lacks, by way of a logical one.
inline uint64_t signed_high(uint64_t x) {
  return ((x + (uint64_t{1} << 63)) >> 32) - (uint64_t{1} << 31);
}

inline void add_limbs(Limbs& sum, const int64_t* __restrict hi, const uint32_t* __restrict lo,
                      size_t n, int shift) {
  for (size_t i = 0; i < n; ++i) {
    const auto units = static_cast<uint64_t>(hi[i]);
    sum.low[i] += uint64_t{lo[i]} << shift;
    sum.middle[i] += (units & 0xffffffffu) << shift;
    sum.high[i] += signed_high(units) << shift;
  }
}

inline void divide_limbs(const Limbs& sum, float* __restrict out, size_t n, double inverse,
                         double unit) {
  for (size_t i = 0; i < n; ++i) {
    const uint64_t middle = sum.middle[i] + (sum.low[i] >> 32);
    const auto low = static_cast<double>(static_cast<uint32_t>(sum.low[i]));
    const auto high = static_cast<double>(static_cast<int64_t>(sum.high[i] + (middle >> 32)));
    const double upper = high * 0x1p32 + static_cast<double>(static_cast<uint32_t>(middle));
    out[i] = static_cast<float>((upper * 0x1p32 + low) * inverse * unit);
  }
}

void mean_float(float* out, const Column* columns, size_t count, size_t n, double divisor) {
  int least = columns[0].exponent;
  for (size_t c = 1; c < count; ++c)
    least = columns[c].exponent < least ? columns[c].exponent : least;
  // Both factors are applied one after the other: their product may leave double's range.
  const double inverse = 1 / divisor;
  const double unit = power_of_two(least - 78);
  if (count == 1) {
    const int64_t* __restrict hi = columns[0].hi;
    const uint32_t* __restrict lo = columns[0].lo;
    for (size_t i = 0; i < n; ++i) {
      const double sum = static_cast<double>(hi[i]) * 0x1p32 + static_cast<double>(lo[i]);
      out[i] = static_cast<float>(sum * inverse * unit);
    }
    return;
  }
  for (size_t first = 0; first < n; first += Limbs::kPiece) {
    const size_t piece = n - first < Limbs::kPiece ? n - first : Limbs::kPiece;
    Limbs sum = {};
    for (size_t c = 0; c < count; ++c) {
      add_limbs(sum, columns[c].hi + first, columns[c].lo + first, piece,
                columns[c].exponent - least);
    }
    divide_limbs(sum, out + first, piece, inverse, unit);
  }
}

}  // namespace
