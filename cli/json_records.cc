#include "json_records.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "umbel/base/text.h"

namespace umbel::cli {

namespace {

constexpr int kDepthMax = 8, kMembersMax = 20'000;
constexpr size_t kMetricsMax = 10'000;

double real_of(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

// Integers that do not fit 64 bits with a sign become real numbers.
bool is_integer(const Json& json) {
  return json.is_number_integer() &&
         (!json.is_number_unsigned() || json.get<uint64_t>() <= uint64_t{INT64_MAX});
}

Result<MetricValue> metric_of(const std::string& name, const Json& json) {
  if (is_integer(json)) return MetricValue(json.get<int64_t>());
  if (json.is_number() || json.is_null()) return MetricValue(real_of(json));
  if (!json.is_array()) {
    return invalid_argument("metric \"{}\": expected a number or a list of numbers, got {}",
                            escaped(name), json.type_name());
  }
  bool integers = true;
  for (const Json& element : json) {
    if (!element.is_number() && !element.is_null()) {
      return invalid_argument("metric \"{}\": expected a list of numbers, got {} in it",
                              escaped(name), element.type_name());
    }
    integers = integers && is_integer(element);
  }
  if (integers) return MetricValue(json.get<std::vector<int64_t>>());
  std::vector<double> reals;
  reals.reserve(json.size());
  for (const Json& element : json) reals.push_back(real_of(element));
  return MetricValue(std::move(reals));
}

Json real_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace

Json json_of(const MetricRecord& metrics) {
  Json object = Json::object();
  for (const auto& [name, value] : metrics) {
    Json& json = object[name];
    if (const auto* integer = std::get_if<int64_t>(&value.base())) json = *integer;
    if (const auto* real = std::get_if<double>(&value.base())) json = real_json(*real);
    if (const auto* list = std::get_if<std::vector<int64_t>>(&value.base())) json = *list;
    if (const auto* list = std::get_if<std::vector<double>>(&value.base())) {
      json = Json::array();
      for (const double element : *list) json.push_back(real_json(element));
    }
  }
  return object;
}

Json json_of(const ConfigValue& value) {
  if (std::holds_alternative<std::vector<std::byte>>(value.base())) return nullptr;
  return std::visit(
      [](const auto& plain) -> Json {
        if constexpr (std::is_same_v<std::decay_t<decltype(plain)>, std::vector<std::byte>>) {
          return nullptr;
        } else {
          return plain;
        }
      },
      value.base());
}

Json json_of(const FailureReasons& reasons) {
  Json object = Json::object();
  for (const auto& [reason, count] : reasons) object[reason] = count;
  return object;
}

Json json_of(const std::vector<FailureSample>& samples) {
  Json list = Json::array();
  for (const FailureSample& sample : samples) {
    list.push_back({{"node", sample.node < 0 ? Json(nullptr) : Json(sample.node)},
                    {"kind", sample.kind},
                    {"reason", sample.reason}});
  }
  return list;
}

Result<MetricRecord> metrics_of(const Json& object) {
  if (!object.is_object()) {
    return invalid_argument("expected metrics by name, got {}", object.type_name());
  }
  if (object.size() > kMetricsMax) {
    return invalid_argument("{} metrics; the limit is {}", object.size(), kMetricsMax);
  }
  MetricRecord metrics;
  metrics.reserve(object.size());
  for (const auto& [name, json] : object.items()) {
    UMBEL_ASSIGN_OR_RETURN(MetricValue value, metric_of(name, json));
    metrics.set(name, std::move(value));
  }
  return metrics;
}

Result<ConfigValue> config_value_of(const Json& json) {
  const auto fits = [&](auto&& is) {
    return json.is_array() ? !json.empty() && std::ranges::all_of(json, is) : is(json);
  };
  const auto as = [&]<class T>(T) {
    return json.is_array() ? ConfigValue(json.get<std::vector<T>>()) : ConfigValue(json.get<T>());
  };
  const auto is_finite = [](const Json& one) {
    return one.is_number() && std::isfinite(one.get<double>());
  };
  if (fits([](const Json& one) { return one.is_boolean(); })) return as(bool());
  if (fits([](const Json& one) { return is_integer(one); })) return as(int64_t());
  if (fits(is_finite)) return as(double());
  if (fits([](const Json& one) { return one.is_string(); })) return as(std::string());
  if (json.is_array() && json.empty()) return ConfigValue(std::vector<int64_t>());
  return invalid_argument(
      "a setting's value: expected a truth value, a number, a text or a list "
      "of one of these kinds, got {}",
      json.type_name());
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The parser keeps a value for every bracket, so 16 MiB of them would be gigabytes, and scans an
// object's members for each new one.  Neither is worth starting for what no event has.
Status check_json_limits(std::string_view text) {
  int depth = 0, members = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDepthMax) {
        return invalid_argument("more levels than the limit of {}", kDepthMax);
      }
    } else if (c == ':') {
      if (++members > kMembersMax) {
        return invalid_argument("more members than the limit of {}", kMembersMax);
      }
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return absl::OkStatus();
}

Json parse_json(std::string_view text) {
  if (!check_json_limits(text).ok()) return Json(Json::value_t::discarded);
  return Json::parse(text.begin(), text.end(), nullptr, false);
}

std::string metrics_text(const MetricRecord& metrics) { return text_of(json_of(metrics)); }

MetricRecord metrics_from_text(std::string_view text) {
  Result<MetricRecord> metrics = metrics_of(parse_json(text));
  return metrics.ok() ? *std::move(metrics) : MetricRecord();
}

std::string reasons_text(const FailureReasons& reasons) { return text_of(json_of(reasons)); }

FailureReasons reasons_from_text(std::string_view text) {
  FailureReasons reasons;
  const Json json = parse_json(text);
  if (!json.is_object()) return reasons;
  for (const auto& [reason, count] : json.items()) {
    if (count.is_number_integer()) reasons.emplace_back(reason, count.get<int64_t>());
  }
  return reasons;
}

std::string samples_text(const std::vector<FailureSample>& samples) {
  return text_of(json_of(samples));
}

std::vector<FailureSample> samples_from_text(std::string_view text) {
  std::vector<FailureSample> samples;
  const Json json = parse_json(text);
  if (!json.is_array()) return samples;
  for (const Json& element : json) {
    if (!element.is_object()) continue;
    FailureSample& sample = samples.emplace_back();
    for (const auto& [name, value] : element.items()) {
      if (name == "node" && is_integer(value)) sample.node = value.get<int64_t>();
      if (name == "kind" && value.is_string()) sample.kind = value.get<std::string>();
      if (name == "reason" && value.is_string()) sample.reason = value.get<std::string>();
    }
  }
  return samples;
}

std::string value_text(const ConfigValue& value) { return text_of(json_of(value)); }

}  // namespace umbel::cli
