#include "find_run.h"

#include "hub_mirror.h"
#include "umbel/base/files.h"

namespace umbel::cli {

Result<FoundRun> find_run(int64_t id, const std::string& link) {
  if (!link.empty()) return mirror_run(id, link);
  UMBEL_ASSIGN_OR_RETURN(std::optional<History> history, History::open_existing(umbel_home()));
  if (!history) return not_found("run {}: there are no runs yet", id);
  UMBEL_ASSIGN_OR_RETURN(Run run, history->run(id));
  return FoundRun{nullptr, *std::move(history), std::move(run)};
}

}  // namespace umbel::cli
