#pragma once

#include <memory>
#include <string>

#include "history.h"

namespace umbel::cli {

// A run and the history that it is in.
struct FoundRun {
  std::shared_ptr<void> folder;  // of a history that is not kept
  History history;
  Run run;
};
// `run`, or if that is 0 the latest one on this machine (of this status, if one is given), which is
// named on standard error.
Result<int64_t> run_or_latest(int64_t run, const std::string& status = "");

// On this machine, or, with a link, at its hub.
Result<FoundRun> find_run(int64_t id, const std::string& link);

}  // namespace umbel::cli
