#pragma once

#include "umbel/record/array.h"

namespace umbel::data {

// The array with elements that a Dataset's features may have: see array_dataset.h. INVALID_ARGUMENT
// names the example (the first index) whose number does not fit, or the type.
Result<Array> as_features(const Array& array);

// A column of whole numbers, [n] or [n, 1], as int32[n].
Result<Array> as_int32_column(const Array& array);

}  // namespace umbel::data
