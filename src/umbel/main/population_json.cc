#include "umbel/main/population_json.h"

#include <nlohmann/json.hpp>

namespace umbel {

namespace {

using Json = nlohmann::json;

Status wrong(const char* key, std::string_view expected) {
  return invalid_argument("\"population\": \"{}\": expected {}", key, expected);
}

Status take(const Json& json, const char* key, double& value) {
  const auto found = json.find(key);
  if (found == json.end()) return absl::OkStatus();
  if (!found->is_number()) return wrong(key, "a number");
  value = found->get<double>();
  return absl::OkStatus();
}

Status take(const Json& json, const char* key, bool& value) {
  const auto found = json.find(key);
  if (found == json.end()) return absl::OkStatus();
  if (!found->is_boolean()) return wrong(key, "true or false");
  value = found->get<bool>();
  return absl::OkStatus();
}

Status take(const Json& json, const char* key, std::string& value) {
  const auto found = json.find(key);
  if (found == json.end()) return absl::OkStatus();
  if (!found->is_string()) return wrong(key, "text");
  value = found->get<std::string>();
  return absl::OkStatus();
}

Status take(const Json& json, const char* key, std::vector<double>& values) {
  const auto found = json.find(key);
  if (found == json.end()) return absl::OkStatus();
  if (!found->is_array()) return wrong(key, "a list of numbers");
  values.clear();
  for (const Json& item : *found) {
    if (!item.is_number()) return wrong(key, "a list of numbers");
    values.push_back(item.get<double>());
  }
  return absl::OkStatus();
}

template <class Choice>
Status take_choice(const Json& json, const char* key, std::initializer_list<Choice> choices,
                   Choice& value) {
  std::string text(name_of(value)), all;
  UMBEL_RETURN_IF_ERROR(take(json, key, text));
  for (const Choice choice : choices) {
    if (text == name_of(choice)) {
      value = choice;
      return absl::OkStatus();
    }
    all += (all.empty() ? "one of " : ", ") + std::string(name_of(choice));
  }
  return wrong(key, all);
}

Result<Attribute> attribute_of(const Json& json) {
  Attribute attribute;
  if (!json.is_object() || !json.contains("categories") || !json["categories"].is_array()) {
    return wrong("attributes", "objects with \"name\" and \"categories\"");
  }
  UMBEL_RETURN_IF_ERROR(take(json, "name", attribute.name));
  for (const Json& item : json["categories"]) {
    if (!item.is_object()) return wrong("categories", "objects with \"category\" and \"share\"");
    UMBEL_RETURN_IF_ERROR(take(item, "category", attribute.categories.emplace_back()));
    UMBEL_RETURN_IF_ERROR(take(item, "share", attribute.shares.emplace_back()));
  }
  return attribute;
}

}  // namespace

Result<PopulationOptions> parse_population(const Json& json) {
  if (!json.is_object()) return invalid_argument("\"population\": expected an object");
  PopulationOptions options;
  UMBEL_RETURN_IF_ERROR(take_choice(json, "availability",
                                    {Availability::kAlways, Availability::kProbability,
                                     Availability::kDaily, Availability::kTrace},
                                    options.availability));
  const std::pair<const char*, double*> numbers[] = {
      {"available-share", &options.available_share},
      {"session-hours", &options.session_hours},
      {"day-from", &options.day_from},
      {"day-hours", &options.day_hours},
      {"day-jitter-hours", &options.day_jitter_hours},
      {"start-hour", &options.start_hour},
      {"speed-spread", &options.speed_spread},
      {"down-mbits", &options.down_mbits},
      {"up-mbits", &options.up_mbits},
      {"bandwidth-spread", &options.bandwidth_spread},
      {"latency-seconds", &options.latency_seconds},
      {"latency-spread", &options.latency_spread},
      {"seconds-per-example", &options.seconds_per_example},
      {"dropout", &options.dropout}};
  for (const auto& [key, number] : numbers) UMBEL_RETURN_IF_ERROR(take(json, key, *number));
  UMBEL_RETURN_IF_ERROR(take(json, "time-zones", options.time_zones));
  UMBEL_RETURN_IF_ERROR(take(json, "trace", options.trace));
  UMBEL_RETURN_IF_ERROR(take(json, "trace-reuse", options.trace_reuse));
  UMBEL_RETURN_IF_ERROR(
      take_choice(json, "trace-end", {TraceEnd::kRepeat, TraceEnd::kStop}, options.trace_end));
  if (json.contains("attributes")) {
    if (!json["attributes"].is_array()) return wrong("attributes", "a list");
    for (const Json& item : json["attributes"]) {
      UMBEL_ASSIGN_OR_RETURN(Attribute attribute, attribute_of(item));
      options.attributes.push_back(std::move(attribute));
    }
  }
  UMBEL_RETURN_IF_ERROR(annotate(options.validate(), "\"population\""));
  return options;
}

}  // namespace umbel
