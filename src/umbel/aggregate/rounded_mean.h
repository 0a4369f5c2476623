#pragma once

#include <cstddef>
#include <span>

#include "umbel/kernel/exact_sum.h"
#include "umbel/record/dtype.h"

namespace umbel::aggregate {

// units * 2^exponent.
struct FixedPoint {
  __int128 units;
  int exponent;
};

// high + low with |low| at most half a unit in the last place of high, times 2^exponent.
struct Wide {
  double high;
  double low;
  int exponent;
};

// The sum of the terms to about 106 bits, whatever cancels.
Wide sum_of(std::span<const FixedPoint> terms);
// numerator / divisor to about 100 bits; divisor is finite and not 0.
Wide divide(const Wide& numerator, const kernel::ExactSum::Pair& divisor);
// Writes real number i of a tensor of `dtype`, rounded to nearest with ties to even.  Integers are
// rounded to the nearest integer and held within their type.
void store_rounded(DType dtype, std::byte* out, size_t i, const Wide& value);

}  // namespace umbel::aggregate
