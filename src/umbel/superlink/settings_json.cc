#include "umbel/superlink/settings_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "umbel/base/text.h"

namespace umbel::superlink {

namespace {

using Json = nlohmann::json;

constexpr size_t kSettingsMax = 10'000;

Json value_json(const ConfigValue& value) {
  return std::visit(
      [](const auto& held) -> Json {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, std::vector<std::byte>>) {
          return nullptr;  // settings come from TOML, which has no bytes
        } else if constexpr (std::is_same_v<T, std::vector<bool>>) {
          Json list = Json::array();
          for (const bool item : held) list.push_back(item);
          return list;
        } else {
          return held;
        }
      },
      value.base());
}

template <class T>
std::vector<T> list_of(const Json& json) {
  std::vector<T> values;
  for (const Json& item : json) values.push_back(item.get<T>());
  return values;
}

bool is_integer(const Json& json) {
  return json.is_number_integer() &&
         (!json.is_number_unsigned() || json.get<uint64_t>() <= INT64_MAX);
}

Result<ConfigValue> parse_value(const Json& json) {
  if (json.is_boolean()) return ConfigValue(json.get<bool>());
  if (is_integer(json)) return ConfigValue(json.get<int64_t>());
  if (json.is_number_float() && std::isfinite(json.get<double>())) {
    return ConfigValue(json.get<double>());
  }
  if (json.is_string()) return ConfigValue(json.get<std::string>());
  if (json.is_array() && !json.empty()) {
    const auto all = [&](auto is) { return std::ranges::all_of(json, is); };
    if (all([](const Json& item) { return item.is_boolean(); })) {
      return ConfigValue(list_of<bool>(json));
    }
    if (all([](const Json& item) { return item.is_string(); })) {
      return ConfigValue(list_of<std::string>(json));
    }
    if (all(is_integer)) return ConfigValue(list_of<int64_t>(json));
    if (all([](const Json& item) { return item.is_number(); })) {
      return ConfigValue(list_of<double>(json));
    }
  }
  return invalid_argument(
      "expected true, false, a number, text, or a list of values of one of these kinds");
}

}  // namespace

Json settings_json(const ConfigRecord& config, const std::vector<std::string>& origins) {
  Json list = Json::array();
  for (size_t i = 0; i != config.size(); ++i) {
    const auto& [key, value] = config.entry(i);
    list.push_back({{"key", key},
                    {"value", value_json(value)},
                    {"origin", i < origins.size() ? origins[i] : std::string()}});
  }
  return list;
}

Status parse_settings(const Json& json, ConfigRecord& config, std::vector<std::string>& origins) {
  if (!json.is_array() || json.size() > kSettingsMax) {
    return invalid_argument("\"run-config\": expected a list of up to {} settings", kSettingsMax);
  }
  for (const Json& entry : json) {
    if (!entry.is_object() || !entry.contains("key") || !entry["key"].is_string() ||
        !entry.contains("value")) {
      return invalid_argument("\"run-config\": an entry without \"key\" or \"value\"");
    }
    const auto key = entry["key"].get<std::string>();
    if (config.contains(key)) return invalid_argument("\"run-config\": \"{}\" twice", escaped(key));
    Result<ConfigValue> value = parse_value(entry["value"]);
    if (!value.ok()) {
      return annotate(value.status(), fmt::format("\"run-config\": \"{}\"", escaped(key)));
    }
    config.append(key, *std::move(value));
    const bool from = entry.contains("origin") && entry["origin"].is_string();
    origins.push_back(from ? entry["origin"].get<std::string>() : "");
  }
  return absl::OkStatus();
}

std::string text_in(const Json& json, const char* key) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  return json.is_object() && found != json.end() && found->is_string() ? found->get<std::string>()
                                                                       : std::string();
}

}  // namespace umbel::superlink
