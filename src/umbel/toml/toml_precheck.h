#pragma once

#include <string_view>

#include "umbel/base/status.h"

namespace umbel {

// Refuses, with `file:line:`, the few texts that the TOML parser cannot be given: it recurses over
// dotted keys and brackets (also when it frees them), so that 100,000 of them would end the stack,
// and it takes for granted that a table's name follows a table's bracket.  All else passes, right
// or wrong; the parser says the rest.
Status precheck_toml(std::string_view text, std::string_view file);

}  // namespace umbel
