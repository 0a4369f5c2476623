#pragma once

#include "find_run.h"

namespace umbel::cli {

// A run at a hub with all that it has said until now, in a history of its own that goes with the
// result; its number is the hub's.
Result<FoundRun> mirror_run(int64_t id, const std::string& link);

}  // namespace umbel::cli
