#pragma once

#include <string>

#include "history.h"

namespace umbel::cli {

// A run and the history that it is in.
struct FoundRun {
  History history;
  Run run;
};
Result<FoundRun> find_run(int64_t id, const std::string& link);

}  // namespace umbel::cli
