#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "umbel/record/layout.h"

namespace umbel::aggregate {

// INVALID_ARGUMENT that names the first number of the array which is NaN or infinite; OK if there
// is none.  `bytes`: some of the array's elements, the first of them number `first`; any alignment.
Status require_finite(std::string_view name, DType dtype, std::span<const std::byte> bytes,
                      int64_t first = 0);

}  // namespace umbel::aggregate
