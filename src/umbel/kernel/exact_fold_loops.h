// The loops behind exact_fold.h.  Included once per instruction set, inside a namespace of its own
// and with nothing but built-in types, so that no inline function of a library is compiled for an
// instruction set that another processor lacks.
#include <stddef.h>
#include <stdint.h>

namespace {

using umbel::kernel::Column;
using umbel::kernel::kNarrowBits;
using umbel::kernel::kTopShift;

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

// A product of up to 2^55 is more than one addition can round to an integer: the first rounds it to
// a multiple of 2^8, the second what that left over.  Both together round to nearest, ties to even.
constexpr int kFineBits = 8;
constexpr double kCoarse = 0x1.8p60;
constexpr double kFine = 0x1.8p52;

// The sum of products that are each rounded to an integer.
struct Rounded {
#if defined(__AVX512DQ__)  // the first with an instruction for it
  uint64_t sum = 0;
  inline __attribute__((always_inline)) void add(double product) {
    sum += static_cast<uint64_t>(static_cast<int64_t>(__builtin_nearbyint(product)));
  }
  inline __attribute__((always_inline)) uint64_t value(uint64_t) const { return sum; }
#else
  uint64_t coarse = 0;
  uint64_t fine = 0;
  inline __attribute__((always_inline)) void add(double product) {
    const double rounded = product + kCoarse;
    coarse += bits_of(rounded);
    fine += bits_of((product - (rounded - kCoarse)) + kFine);
  }
  inline __attribute__((always_inline)) uint64_t value(uint64_t products) const {
    return ((coarse - products * bits_of(kCoarse)) << kFineBits) +
           (fine - products * bits_of(kFine));
  }
#endif
};

inline void add_to(int64_t& sum, uint64_t units) {
  sum = static_cast<int64_t>(static_cast<uint64_t>(sum) + units);
}

template <size_t K>
inline __attribute__((always_inline)) void add_float_k(int64_t* __restrict sum, size_t n,
                                                       const float* const* x,
                                                       const double* scales) {
  const float* source[K];
  double scale[K];
  for (size_t k = 0; k < K; ++k) {
    source[k] = x[k];
    scale[k] = scales[k];
  }
  const auto add = [&](size_t first, size_t last) __attribute__((always_inline)) {
    for (size_t i = first; i < last; ++i) {
      Rounded rounded;
#pragma GCC unroll 8
      for (size_t k = 0; k < K; ++k) rounded.add(scale[k] * static_cast<double>(source[k][i]));
      add_to(sum[i], rounded.value(K));
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

void add_float(int64_t* sum, size_t n, const float* const* x, const double* scale, size_t k) {
  for (; k >= 8; k -= 8, x += 8, scale += 8) add_float_k<8>(sum, n, x, scale);
  switch (k) {
    case 7:
      return add_float_k<7>(sum, n, x, scale);
    case 6:
      return add_float_k<6>(sum, n, x, scale);
    case 5:
      return add_float_k<5>(sum, n, x, scale);
    case 4:
      return add_float_k<4>(sum, n, x, scale);
    case 3:
      return add_float_k<3>(sum, n, x, scale);
    case 2:
      return add_float_k<2>(sum, n, x, scale);
    case 1:
      return add_float_k<1>(sum, n, x, scale);
    default:
      return;
  }
}

void add_double(int64_t* __restrict sum, size_t n, const double* __restrict x, double scale) {
  for (size_t i = 0; i < n; ++i) {
    const double product = scale * x[i];
    const double error = __builtin_fma(scale, x[i], -product);
    const double rounded = product + kCoarse;
    const double rest = (product - (rounded - kCoarse)) + error;
    add_to(sum[i], ((bits_of(rounded) - bits_of(kCoarse)) << kFineBits) +
                       (bits_of(rest + kFine) - bits_of(kFine)));
  }
}

// Carries the fraction's excess into hi.  |fraction| < 2^40, so the bias turns the arithmetic
// shift, which AVX2 lacks, into a logical one.
inline void store(int64_t* hi, uint32_t* lo, size_t i, uint64_t units, uint64_t fraction) {
  const uint64_t sum = fraction + lo[i];
  lo[i] = static_cast<uint32_t>(sum);
  const uint64_t carry = ((sum + (uint64_t{1} << 62)) >> 32) - (uint64_t{1} << 30);
  add_to(hi[i], units + carry);
}

void add_wide(int64_t* __restrict hi, uint32_t* __restrict lo, size_t n, const double* __restrict x,
              double weight, int exponent) {
  const double unit = rounder(exponent + 6);       // rounds to 2^(exponent - 46)
  const double fraction = rounder(exponent - 26);  // rounds to 2^(exponent - 78)
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

// The sums of one piece as two numbers, so that columns on several grids add up exactly: multiples
// of 2^32 and of 1 times 2^(exponent - 55) of the finest.
struct Limbs {
  static constexpr size_t kPiece = 256;
  uint64_t high[kPiece];
  uint64_t low[kPiece];
};

// An arithmetic shift by 32, which AVX2 lacks, by way of a logical one.
inline uint64_t signed_high(uint64_t x) {
  return ((x + (uint64_t{1} << 63)) >> 32) - (uint64_t{1} << 31);
}

inline void add_limbs(Limbs& limbs, const int64_t* __restrict sum, size_t n, int shift) {
  for (size_t i = 0; i < n; ++i) {
    const auto units = static_cast<uint64_t>(sum[i]);
    limbs.low[i] += (units & 0xffffffffu) << shift;
    limbs.high[i] += signed_high(units) << shift;
  }
}

inline void add_top(Limbs& limbs, const int32_t* __restrict top, size_t n, int shift) {
  for (size_t i = 0; i < n; ++i) {
    limbs.high[i] += static_cast<uint64_t>(int64_t{top[i]}) << (kTopShift - 32 + shift);
  }
}

inline void divide_limbs(const Limbs& limbs, float* __restrict out, size_t n, double inverse,
                         double unit) {
  for (size_t i = 0; i < n; ++i) {
    const auto high = static_cast<int64_t>(limbs.high[i] + (limbs.low[i] >> 32));
    const auto low = static_cast<uint32_t>(limbs.low[i]);
    const double sum = static_cast<double>(high) * 0x1p32 + static_cast<double>(low);
    out[i] = static_cast<float>(sum * inverse * unit);
  }
}

void mean_float(float* out, const Column* columns, size_t count, size_t n, double divisor) {
  int least = columns[0].exponent;
  for (size_t c = 1; c < count; ++c)
    least = columns[c].exponent < least ? columns[c].exponent : least;
  // Both factors are applied one after the other: their product may leave double's range.
  const double inverse = 1 / divisor;
  const double unit = power_of_two(least - kNarrowBits);
  if (count == 1 && !columns[0].top) {
    const int64_t* __restrict sum = columns[0].sum;
    for (size_t i = 0; i < n; ++i) {
      out[i] = static_cast<float>(static_cast<double>(sum[i]) * inverse * unit);
    }
    return;
  }
  for (size_t first = 0; first < n; first += Limbs::kPiece) {
    const size_t piece = n - first < Limbs::kPiece ? n - first : Limbs::kPiece;
    Limbs limbs = {};
    for (size_t c = 0; c < count; ++c) {
      const int shift = columns[c].exponent - least;
      add_limbs(limbs, columns[c].sum + first, piece, shift);
      if (columns[c].top) add_top(limbs, columns[c].top + first, piece, shift);
    }
    divide_limbs(limbs, out + first, piece, inverse, unit);
  }
}

}  // namespace
