#include "hub_mirror.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "hub_client.h"
#include "lenses.h"
#include "process_identity.h"
#include "recorder.h"

namespace umbel::cli {

namespace fs = std::filesystem;

Result<FoundRun> mirror_run(int64_t id, const std::string& link) {
  UMBEL_ASSIGN_OR_RETURN(HubClient client, HubClient::open(link));
  UMBEL_ASSIGN_OR_RETURN(const Json there, client.get(fmt::format("/v1/runs/{}", id)));
  UMBEL_ASSIGN_OR_RETURN(Run run, hub_run_of(there, link));
  UMBEL_ASSIGN_OR_RETURN(const auto settings, hub_settings_of(there));
  std::error_code error;
  std::string pattern = (fs::temp_directory_path(error) / "umbel-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    return unavailable("{}: cannot make a folder there", pattern);
  }
  const std::shared_ptr<void> folder(nullptr, [pattern](void*) {
    std::error_code ignored;
    fs::remove_all(pattern, ignored);
  });
  UMBEL_ASSIGN_OR_RETURN(History history, History::open(pattern));
  run.process = this_process();
  UMBEL_RETURN_IF_ERROR(history.create(run, settings));
  const Output output(Format::kText);
  Progress progress(output, Progress::Quiet{});
  RunRecorder recorder(history, run, progress);
  recorder.note(link_record(!client.link().plain, run.restarts, 0));
  int64_t after = 0;
  for (bool more = true; more;) {
    UMBEL_ASSIGN_OR_RETURN(const auto events, client.events(id, after, std::chrono::seconds(0)));
    more = !events.empty();
    for (const HubEvent& event : events) {
      after = std::max(after, event.sequence);
      if (const auto line = log_line_of(event)) {
        recorder.on_line(*line);
      } else if (const auto* of_app = std::get_if<Event>(&event.what)) {
        recorder.on_event(*of_app);
      } else if (const auto* end = std::get_if<Run>(&event.what)) {
        recorder.finish(*end, 0);
        more = false;
      }
    }
  }
  recorder.on_deadline();
  UMBEL_RETURN_IF_ERROR(recorder.history_status());
  return FoundRun{folder, std::move(history), std::move(run)};
}

}  // namespace umbel::cli
