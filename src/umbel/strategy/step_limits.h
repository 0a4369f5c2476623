#pragma once

#include <string_view>

#include "umbel/base/status.h"

namespace umbel {

// INVALID_ARGUMENT that names `name` and its value unless it is finite and greater than 0.
Status require_positive(std::string_view name, double value);
// The same unless it is in [0, 1).
Status require_decay(std::string_view name, double value);

}  // namespace umbel
