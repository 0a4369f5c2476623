#pragma once

#include <string>

#include "umbel/base/status.h"

namespace umbel::cli {

// OK if no LINK was given.  Otherwise what is wrong with it: config.toml has no such link profile,
// or this version has no deployment runtime to send anything to.
Status require_no_link(const std::string& link);

}  // namespace umbel::cli
