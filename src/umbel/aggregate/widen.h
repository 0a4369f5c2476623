#pragma once

#include <cstddef>

#include "umbel/record/dtype.h"

namespace umbel::aggregate {

// n real numbers of a tensor as doubles, exactly; 64-bit integers have no place here.  `data` is
// aligned for its dtype.  The caller computes denormals exactly.
void widen(DType dtype, const std::byte* data, size_t n, double* out);
// Those of a 16-bit float as floats.
void widen(DType dtype, const std::byte* data, size_t n, float* out);
// 64-bit integers as the sums of two doubles, each exact.
void split_wide(DType dtype, const std::byte* data, size_t n, double* high, double* low);

}  // namespace umbel::aggregate
