#pragma once

#include <cstdint>
#include <vector>

#include "umbel/base/rng.h"
#include "umbel/record/array.h"

namespace umbel::data {

// Places of examples on an axis.

// INVALID_ARGUMENT, naming the first wrong example, unless `values` is [n] with n from 1 to
// kExamplesMax, of integers or floats of 32 or 64 bits or of uint8, all finite.
Status check_axis(const Array& values);

// The examples in ascending order of their values; equal ones in random order.  After check_axis().
std::vector<uint32_t> axis_order(const Array& values, Rng& rng);

}  // namespace umbel::data
