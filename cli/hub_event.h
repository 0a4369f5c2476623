#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include "history.h"
#include "json_records.h"

namespace umbel::cli {

// A line that the app printed at the hub.
struct HubOutput {
  bool error = false;
  std::string line;
};
// One line of a run's events at a hub: an event of the app, a printed line, or, last of all, what
// became of the run.
struct HubEvent {
  int64_t sequence = 0, time_ms = 0;
  std::variant<Event, HubOutput, Run> what;
};

// Checks one line; nothing in it is trusted.  INVALID_ARGUMENT says what is wrong with it.
Result<HubEvent> parse_hub_event(std::string_view line, const std::string& link);

// A run as a hub describes it.  Texts that a table shows are made safe for a terminal.
Result<Run> hub_run_of(const Json& object, const std::string& link);

// The run config that a hub tells with a run.
Result<std::vector<Setting>> hub_settings_of(const Json& object);

// "queued", "starting" or "running".
bool is_under_way(const Run& run);

// The line of the log that an event is, if it is one.
std::optional<LogLine> log_line_of(const HubEvent& event);

}  // namespace umbel::cli
