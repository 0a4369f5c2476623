#include "hub_event.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "text_format.h"
#include "umbel/base/text.h"

namespace umbel::cli {

namespace {

constexpr const char* kStatuses[] = {"queued",    "starting", "running",
                                     "completed", "failed",   "stopped"};

std::string text_in(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : "";
}

// Counts and times; what is no such number is 0.
int64_t count_in(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_number_integer()) return 0;
  if (at->is_number_unsigned() && at->get<uint64_t>() > uint64_t{INT64_MAX}) return 0;
  return std::max<int64_t>(0, at->get<int64_t>());
}

bool flag_in(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_boolean() && at->get<bool>();
}

constexpr size_t kSettingsMax = 10'000;

}  // namespace

Result<Run> hub_run_of(const Json& object, const std::string& link) {
  if (!object.is_object()) return invalid_argument("a run from the hub is no JSON object");
  Run run;
  run.link = link;
  run.id = run.link_run = count_in(object, "run-id");
  run.status = text_in(object, "status");
  const bool known =
      std::find(std::begin(kStatuses), std::end(kStatuses), run.status) != std::end(kStatuses);
  if (run.id == 0 || !known) {
    return invalid_argument("a run from the hub has the number {} and the status \"{}\"", run.id,
                            escaped(run.status.substr(0, 60)));
  }
  run.app = escaped(text_in(object, "app"));
  run.version = escaped(text_in(object, "version"));
  run.publisher = escaped(text_in(object, "publisher"));
  run.error = text_in(object, "error");
  run.exit_code = count_in(object, "exit-code");
  run.seed = count_in(object, "seed");
  run.nodes = count_in(object, "nodes");
  if (object.contains("nodes-there")) run.nodes_there = count_in(object, "nodes-there");
  run.rounds = count_in(object, "rounds");
  run.rounds_planned = count_in(object, "rounds-planned");
  run.restarts = count_in(object, "restarts");
  run.started_ms = count_in(object, "started-ms");
  if (run.started_ms == 0) run.started_ms = count_in(object, "created-ms");
  run.ended_ms = count_in(object, "finished-ms");
  const int64_t until = run.ended_ms != 0 ? run.ended_ms : now_milliseconds();
  run.seconds = static_cast<double>(std::max<int64_t>(0, until - run.started_ms)) / 1000;
  return run;
}

Result<std::vector<Setting>> hub_settings_of(const Json& object) {
  const auto list = object.find("run-config");
  std::vector<Setting> settings;
  if (list == object.end() || !list->is_array()) return settings;
  if (list->size() > kSettingsMax) {
    return invalid_argument("a run from the hub has {} settings; the limit is {}", list->size(),
                            kSettingsMax);
  }
  for (const Json& one : *list) {
    const auto value = one.is_object() ? one.find("value") : one.end();
    if (!one.is_object() || value == one.end()) {
      return invalid_argument("a setting from the hub is no object with a \"value\"");
    }
    UMBEL_ASSIGN_OR_RETURN(ConfigValue config, config_value_of(*value));
    settings.push_back({text_in(one, "key"), std::move(config), text_in(one, "origin")});
  }
  return settings;
}

Result<HubEvent> parse_hub_event(std::string_view line, const std::string& link) {
  UMBEL_RETURN_IF_ERROR(check_json_limits(line));
  const Json object = parse_json(line);
  if (!object.is_object()) {
    return invalid_argument("an event from the hub is no JSON object: \"{}\"",
                            escaped(line.substr(0, 60)));
  }
  HubEvent event;
  if (flag_in(object, "end")) {
    const auto run = object.find("run");
    UMBEL_ASSIGN_OR_RETURN(event.what, hub_run_of(run == object.end() ? Json() : *run, link));
    return event;
  }
  event.sequence = count_in(object, "seq");
  event.time_ms = count_in(object, "time-ms");
  const auto inner = object.find("event");
  if (event.sequence == 0 || inner == object.end() || !inner->is_object()) {
    return invalid_argument("an event from the hub has no \"seq\" or no \"event\": \"{}\"",
                            escaped(line.substr(0, 60)));
  }
  if (text_in(*inner, "event") == "output") {
    event.what = HubOutput{flag_in(*inner, "error"), text_in(*inner, "line")};
    return event;
  }
  UMBEL_ASSIGN_OR_RETURN(event.what, parse_event(text_of(*inner)));
  return event;
}

bool is_under_way(const Run& run) {
  return run.status == "queued" || run.status == "starting" || run.status == "running";
}

std::optional<LogLine> log_line_of(const HubEvent& event) {
  if (const auto* output = std::get_if<HubOutput>(&event.what)) {
    return LogLine{event.sequence, event.time_ms, "app", output->error ? "error" : "info", -1,
                   output->line};
  }
  const auto* of_app = std::get_if<Event>(&event.what);
  const auto* log = of_app == nullptr ? nullptr : std::get_if<LogEvent>(of_app);
  if (log == nullptr) return std::nullopt;
  return LogLine{event.sequence, event.time_ms, log->side, log->level, log->node, log->message};
}

}  // namespace umbel::cli
