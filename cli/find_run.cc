#include "find_run.h"

#include <cstdio>

#include "hub_mirror.h"
#include "umbel/base/files.h"

namespace umbel::cli {

Result<int64_t> run_or_latest(int64_t run, const std::string& status) {
  if (run != 0) return run;
  UMBEL_ASSIGN_OR_RETURN(std::optional<History> history, History::open_existing(umbel_home()));
  std::vector<Run> runs;
  if (history) {
    UMBEL_ASSIGN_OR_RETURN(runs, history->runs({.status = status, .app = "", .limit = 1}));
  }
  if (runs.empty()) {
    return not_found("there is no run{} yet; `umbel run APP` makes one",
                     status.empty() ? "" : " that is " + status);
  }
  const Run& latest = runs.front();
  std::fputs(fmt::format("umbel: run {}, the latest{} ({}, {})\n", latest.id,
                         status.empty() ? "" : " that is " + status, latest.app, latest.status)
                 .c_str(),
             stderr);
  return latest.id;
}

Result<FoundRun> find_run(int64_t id, const std::string& link) {
  if (!link.empty()) return mirror_run(id, link);
  UMBEL_ASSIGN_OR_RETURN(std::optional<History> history, History::open_existing(umbel_home()));
  if (!history) return not_found("run {}: there are no runs yet", id);
  UMBEL_ASSIGN_OR_RETURN(Run run, history->run(id));
  return FoundRun{nullptr, *std::move(history), std::move(run)};
}

}  // namespace umbel::cli
