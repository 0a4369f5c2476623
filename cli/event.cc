#include "event.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "json_records.h"
#include "umbel/base/text.h"

namespace umbel::cli {

namespace {

constexpr size_t kNameBytesMax = 255;
constexpr size_t kReasonsMax = 100;
constexpr int64_t kRoundsMax = 1'000'000'000;

// Takes fields out of one event and remembers the first that is not what it has to be.
class Fields {
 public:
  Fields(const Json& object, std::string event) : object_(object), event_(std::move(event)) {}

  const Status& status() const { return status_; }
  bool has(const char* name) const { return find(name) != nullptr; }

  void integer(const char* name, int64_t& value, int64_t least = 0, int64_t most = INT64_MAX) {
    const Json* json = find(name);
    if (json == nullptr) return;
    const bool fits = json->is_number_integer() &&
                      (!json->is_number_unsigned() || json->get<uint64_t>() <= uint64_t{INT64_MAX});
    if (!fits) return wrong(name, "an integer", *json);
    const int64_t given = json->get<int64_t>();
    if (given < least || given > most) {
      return fail(name, fmt::format("expected {} to {}, got {}", least, most, given));
    }
    value = given;
  }
  void node(const char* name, int64_t& value) {
    if (const Json* json = find(name); json != nullptr && !json->is_null()) integer(name, value);
  }
  void real(const char* name, double& value) {
    const Json* json = find(name);
    if (json == nullptr || json->is_null()) return;
    if (!json->is_number()) return wrong(name, "a number", *json);
    if (const double given = json->get<double>(); std::isfinite(given) && given >= 0) value = given;
  }
  void text(const char* name, std::string& value) {
    const Json* json = find(name);
    if (json == nullptr || json->is_null()) return;
    if (!json->is_string()) return wrong(name, "text", *json);
    value = json->get<std::string>();
  }
  void one_of(const char* name, std::string& value, std::initializer_list<const char*> choices) {
    text(name, value);
    for (const char* choice : choices) {
      if (value == choice) return;
    }
    if (status_.ok()) {
      std::string all;
      for (const char* choice : choices) all += (all.empty() ? "" : ", ") + std::string(choice);
      fail(name, fmt::format("expected one of {}; got \"{}\"", all, shown(value)));
    }
  }
  void metrics(const char* name, MetricRecord& value) {
    const Json* json = find(name);
    if (json == nullptr || json->is_null()) return;
    Result<MetricRecord> given = metrics_of(*json);
    if (!given.ok()) return fail(name, message_of(given.status()));
    value = *std::move(given);
  }
  void reasons(const char* name, FailureReasons& value) {
    const Json* json = find(name);
    if (json == nullptr) return;
    const bool good = json->is_object() && json->size() <= kReasonsMax &&
                      std::all_of(json->begin(), json->end(),
                                  [](const Json& count) { return count.is_number_integer(); });
    if (!good) return wrong(name, "at most 100 counts by reason", *json);
    for (const auto& [reason, count] : json->items()) value.emplace_back(reason, count);
  }
  void samples(const char* name, std::vector<FailureSample>& value) {
    const Json* json = find(name);
    if (json == nullptr || json->is_null()) return;
    if (!json->is_array() || json->size() > kFailureSamplesMax) {
      return wrong(name, "a list of at most 3 failures", *json);
    }
    for (const Json& element : *json) {
      if (!element.is_object()) return wrong(name, "a list of objects", element);
      Fields fields(element, event_);
      FailureSample& sample = value.emplace_back();
      fields.node("node", sample.node);
      fields.text("kind", sample.kind);
      fields.text("reason", sample.reason);
      if (!fields.status().ok()) {
        if (status_.ok()) status_ = fields.status();
        return;
      }
      if (sample.reason.size() > kSampleReasonBytesMax) sample.reason.resize(kSampleReasonBytesMax);
    }
  }
  void checked(const char* name, const Status& status) {
    if (!status.ok()) fail(name, message_of(status));
  }

 private:
  static std::string shown(std::string_view text) { return escaped(text.substr(0, 60)); }
  const Json* find(const char* name) const {
    const auto at = object_.find(name);
    return at == object_.end() ? nullptr : &*at;
  }
  void wrong(const char* name, const char* expected, const Json& got) {
    fail(name, fmt::format("expected {}, got {}", expected, got.type_name()));
  }
  void fail(const char* name, std::string_view why) {
    if (status_.ok()) status_ = invalid_argument("event \"{}\": {}: {}", event_, name, why);
  }

  const Json& object_;
  std::string event_;
  Status status_;
};

Status check_sha256(const std::string& digits) {
  const bool good = digits.size() == 64 && std::all_of(digits.begin(), digits.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                    });
  return good ? absl::OkStatus() : invalid_argument("expected 64 lower-case hexadecimal digits");
}

Event started_of(Fields& fields) {
  StartedEvent event;
  fields.integer("nodes", event.nodes);
  fields.integer("threads", event.threads);
  return event;
}

Event rounds_of(Fields& fields) {
  RoundsEvent event;
  fields.integer("rounds", event.rounds, 0, kRoundsMax);
  return event;
}

Event progress_of(Fields& fields) {
  ProgressEvent event;
  fields.integer("round", event.round, 0, kRoundsMax);
  fields.text("phase", event.phase);
  fields.integer("done", event.done);
  fields.integer("total", event.total);
  fields.real("clients-per-second", event.clients_per_second);
  return event;
}

Event round_of(Fields& fields) {
  RoundEvent event;
  event.round = -1;
  fields.integer("round", event.round, 0, kRoundsMax);
  if (event.round < 0) fields.checked("round", invalid_argument("missing"));
  fields.real("seconds", event.seconds);
  fields.real("elapsed", event.elapsed);
  fields.integer("clients", event.clients);
  fields.integer("failures", event.failures);
  fields.reasons("failure-reasons", event.failure_reasons);
  fields.samples("failure-samples", event.failure_samples);
  fields.integer("bytes-down", event.bytes_down);
  fields.integer("bytes-up", event.bytes_up);
  fields.metrics("train", event.train);
  fields.metrics("evaluate", event.evaluate);
  fields.metrics("server", event.server);
  fields.text("note", event.note);
  if (fields.has("virtual-seconds")) {
    VirtualRound& virtual_time = event.virtual_time.emplace();
    fields.real("virtual-seconds", virtual_time.seconds);
    fields.integer("wanted", virtual_time.wanted);
    fields.integer("asked", virtual_time.asked);
    fields.integer("available", virtual_time.available);
  }
  return event;
}

Event log_of(Fields& fields) {
  LogEvent event;
  fields.one_of("side", event.side, {"server", "client"});
  event.level = "info";
  fields.one_of("level", event.level, {"debug", "info", "warn", "error"});
  fields.node("node", event.node);
  fields.text("message", event.message);
  return event;
}

Event record_of(Fields& fields) {
  RecordEvent event;
  fields.text("name", event.name);
  const bool good = !event.name.empty() && event.name.size() <= kNameBytesMax;
  if (!good) fields.checked("name", invalid_argument("expected 1 to 255 bytes of text"));
  fields.metrics("metrics", event.metrics);
  return event;
}

Event artifact_of(Fields& fields) {
  ArtifactEvent event;
  fields.text("name", event.name);
  fields.checked("name", check_artifact_name(event.name));
  fields.integer("bytes", event.bytes);
  fields.text("sha256", event.sha256);
  fields.checked("sha256", check_sha256(event.sha256));
  return event;
}

Event finished_of(Fields& fields) {
  FinishedEvent event;
  fields.one_of("status", event.status, {"completed", "failed", "stopped"});
  fields.text("error", event.error);
  fields.text("reason", event.reason);
  fields.integer("exit-code", event.exit_code, 0, 255);
  fields.integer("rounds", event.rounds, 0, kRoundsMax);
  fields.real("seconds", event.seconds);
  fields.integer("clients", event.clients);
  fields.integer("failures", event.failures);
  fields.metrics("metrics", event.metrics);
  fields.text("model-sha256", event.model_sha256);
  if (!event.model_sha256.empty()) {
    fields.checked("model-sha256", check_sha256(event.model_sha256));
  }
  return event;
}

}  // namespace

Status check_artifact_name(std::string_view name) {
  const bool plain = !name.empty() && name.size() <= kNameBytesMax && name != "." && name != ".." &&
                     std::all_of(name.begin(), name.end(), [](char c) {
                       const auto byte = static_cast<unsigned char>(c);
                       return byte >= 0x20 && byte != 0x7f && c != '/' && c != '\\';
                     });
  if (plain) return absl::OkStatus();
  return invalid_argument("expected a plain file name, got \"{}\"", escaped(name.substr(0, 60)));
}

Result<Event> parse_event(std::string_view line) {
  if (line.size() > kEventBytesMax) {
    return invalid_argument("an event is longer than the limit of {} bytes", kEventBytesMax);
  }
  if (const Status status = check_json_limits(line); !status.ok()) {
    return invalid_argument("an event has {}, got \"{}\"", message_of(status),
                            escaped(line.substr(0, 60)));
  }
  const Json object = parse_json(line);
  if (!object.is_object() || !object.contains("event") || !object["event"].is_string()) {
    return invalid_argument("expected a JSON object with \"event\", got \"{}\"",
                            escaped(line.substr(0, 60)));
  }
  using Parse = Event (*)(Fields&);
  static constexpr std::pair<std::string_view, Parse> kEvents[] = {
      {"started", started_of},   {"rounds", rounds_of},    {"progress", progress_of},
      {"round", round_of},       {"log", log_of},          {"record", record_of},
      {"artifact", artifact_of}, {"finished", finished_of}};
  const std::string name = object["event"].get<std::string>();
  for (const auto& [known, parse] : kEvents) {
    if (known != name) continue;
    Fields fields(object, name);
    Event event = parse(fields);
    if (!fields.status().ok()) return fields.status();
    return event;
  }
  return Event(UnknownEvent{});
}

}  // namespace umbel::cli
