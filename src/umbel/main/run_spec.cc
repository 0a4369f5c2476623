#include "umbel/main/run_spec.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "umbel/base/files.h"
#include "umbel/main/population_json.h"

namespace umbel {

namespace {

using Json = nlohmann::json;

constexpr size_t kSpecBytesMax = 1 << 20;
constexpr uint64_t kThreadsMax = 1024;

bool fits_integer(const Json& json) {
  return !json.is_number_unsigned() || json.get<uint64_t>() <= INT64_MAX;
}

template <class T>
Result<std::vector<T>> list_of(const Json& json) {
  std::vector<T> values;
  for (const Json& item : json) {
    if constexpr (std::is_same_v<T, bool>) {
      if (!item.is_boolean()) return invalid_argument("a list of more than one kind");
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!item.is_string()) return invalid_argument("a list of more than one kind");
    } else if constexpr (std::is_same_v<T, int64_t>) {
      if (!fits_integer(item)) return invalid_argument("an integer beyond 2^63");
    } else if (!item.is_number()) {
      return invalid_argument("a list of more than one kind");
    }
    values.push_back(item.get<T>());
  }
  return values;
}

Result<ConfigValue> list_value(const Json& json) {
  if (!json.empty() && json[0].is_boolean()) {
    UMBEL_ASSIGN_OR_RETURN(auto values, list_of<bool>(json));
    return ConfigValue(std::move(values));
  }
  if (!json.empty() && json[0].is_string()) {
    UMBEL_ASSIGN_OR_RETURN(auto values, list_of<std::string>(json));
    return ConfigValue(std::move(values));
  }
  if (std::ranges::all_of(json, [](const Json& item) { return item.is_number_integer(); }) &&
      !json.empty()) {
    UMBEL_ASSIGN_OR_RETURN(auto values, list_of<int64_t>(json));
    return ConfigValue(std::move(values));
  }
  UMBEL_ASSIGN_OR_RETURN(auto values, list_of<double>(json));
  return ConfigValue(std::move(values));
}

Result<ConfigValue> config_value(const Json& json) {
  if (json.is_boolean()) return ConfigValue(json.get<bool>());
  if (json.is_number_integer()) {
    if (!fits_integer(json)) return invalid_argument("an integer beyond 2^63");
    return ConfigValue(json.get<int64_t>());
  }
  if (json.is_number_float()) return ConfigValue(json.get<double>());
  if (json.is_string()) return ConfigValue(json.get<std::string>());
  if (json.is_array()) return list_value(json);
  return invalid_argument("neither a scalar nor a list");
}

Result<uint64_t> count(const Json& json, const char* key, uint64_t least, uint64_t most) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number_unsigned() || found->get<uint64_t>() < least ||
      found->get<uint64_t>() > most) {
    return invalid_argument("\"{}\": expected an integer, {} to {}", key, least, most);
  }
  return found->get<uint64_t>();
}

Result<RunConfig> run_config(const Json& json) {
  ConfigRecord values;
  std::vector<std::string> origins;
  const auto entries = json.find("run-config");
  if (entries == json.end() || !entries->is_array())
    return invalid_argument("\"run-config\": expected a list");
  for (const Json& entry : *entries) {
    const bool named = entry.is_object() && entry.contains("key") && entry["key"].is_string();
    if (!named || !entry.contains("value")) {
      return invalid_argument("\"run-config\": an entry without \"key\" or \"value\"");
    }
    const auto key = entry["key"].get<std::string>();
    if (values.contains(key)) return invalid_argument("\"run-config\": \"{}\" twice", key);
    Result<ConfigValue> value = config_value(entry["value"]);
    if (!value.ok()) return annotate(value.status(), fmt::format("\"run-config\": \"{}\"", key));
    values.set(key, *std::move(value));
    origins.push_back(entry.contains("origin") && entry["origin"].is_string()
                          ? entry["origin"].get<std::string>()
                          : "");
  }
  return RunConfig(std::move(values), std::move(origins));
}

Result<std::vector<std::string>> command(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end()) return std::vector<std::string>();
  const bool texts = found->is_array() && !found->empty() &&
                     std::ranges::all_of(*found, [](const Json& item) { return item.is_string(); });
  if (!texts) return invalid_argument("\"{}\": expected a program and its arguments", key);
  return found->get<std::vector<std::string>>();
}

Result<RunSpec> from_json(const Json& json) {
  if (!json.is_object()) return invalid_argument("expected an object");
  UMBEL_RETURN_IF_ERROR(count(json, "version", 1, 1).status());
  RunSpec spec;
  UMBEL_ASSIGN_OR_RETURN(const uint64_t id, count(json, "run-id", 0, INT64_MAX));
  spec.run.id = RunId(id);
  UMBEL_ASSIGN_OR_RETURN(spec.run.seed, count(json, "seed", 0, INT64_MAX));
  UMBEL_ASSIGN_OR_RETURN(spec.run.nodes, count(json, "nodes", 1, INT64_MAX));
  UMBEL_ASSIGN_OR_RETURN(spec.threads, count(json, "threads", 0, kThreadsMax));
  UMBEL_ASSIGN_OR_RETURN(spec.run.config, run_config(json));
  if (!json.contains("output") || !json["output"].is_string()) {
    return invalid_argument("\"output\": expected the path of a folder");
  }
  spec.output = json["output"].get<std::string>();
  if (json.contains("checkpoints")) {
    if (!json["checkpoints"].is_boolean()) {
      return invalid_argument("\"checkpoints\": expected true or false");
    }
    spec.checkpoints = json["checkpoints"].get<bool>();
  }
  if (json.contains("twin-examples")) {
    UMBEL_ASSIGN_OR_RETURN(spec.run.twin_examples, count(json, "twin-examples", 1, INT64_MAX));
    if (spec.run.nodes != 1) {
      return invalid_argument("\"twin-examples\": a twin has 1 node, not {}", spec.run.nodes);
    }
  }
  if (json.contains("population")) {
    UMBEL_ASSIGN_OR_RETURN(spec.population, parse_population(json["population"]));
  }
  UMBEL_ASSIGN_OR_RETURN(spec.client_command, command(json, "client-command"));
  UMBEL_ASSIGN_OR_RETURN(spec.zygote_command, command(json, "zygote-command"));
  if (!spec.client_command.empty() && !spec.zygote_command.empty()) {
    return invalid_argument("\"client-command\" and \"zygote-command\": expected one of them");
  }
  return spec;
}

// Lets a document of hostile depth fail early instead of deep in a recursion.
bool shallow(int depth, Json::parse_event_t, Json&) { return depth <= 10; }

}  // namespace

Result<RunSpec> parse_run_spec(const std::string& text, const std::string& path) {
  const Json json = Json::parse(text, shallow, /*allow_exceptions=*/false);
  if (json.is_discarded()) return invalid_argument("{}: not a JSON document", path);
  Result<RunSpec> spec = from_json(json);
  if (!spec.ok()) return annotate(spec.status(), path);
  return spec;
}

Result<RunSpec> read_run_spec(const std::string& path) {
  UMBEL_ASSIGN_OR_RETURN(const std::string text, read_file(path, kSpecBytesMax));
  return parse_run_spec(text, path);
}

}  // namespace umbel
