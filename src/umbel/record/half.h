#pragma once

#include <cstdint>

#include "umbel/record/dtype.h"

namespace umbel {

// Exact widening, and rounding to nearest with ties to even, for the 16-bit floats (IEEE 754
// binary16; bfloat16 is the upper half of a binary32).  Rounding from double happens once.
float to_float(Float16 value);
float to_float(Bfloat16 value);
Float16 to_float16(double value);
Bfloat16 to_bfloat16(double value);

}  // namespace umbel
