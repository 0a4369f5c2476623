#include "umbel/app/report_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace umbel {

namespace {

using Json = nlohmann::ordered_json;

Json number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}
double real_of(const Json& json) {
  if (!json.is_string()) return json.get<double>();
  const auto& text = json.get_ref<const std::string&>();
  if (text == "nan") return NAN;
  if (text == "inf") return INFINITY;
  if (text == "-inf") return -INFINITY;
  throw Error(invalid_argument("\"{}\" is no number", text));
}

std::string text_of(const Json& json) {
  return or_throw(text_as_bytes(json.get_ref<const std::string&>()));
}
uint64_t count_of(const Json& json) {
  if (json.is_number_unsigned()) return json.get<uint64_t>();
  throw Error(invalid_argument("{} is no count", json.dump()));
}
int64_t integer_of(const Json& json) {
  if (json.is_number_integer()) return json.get<int64_t>();
  throw Error(invalid_argument("{} is no integer", json.dump()));
}

// [name, kind, value]: i and r for numbers, I and R for lists of them.
Json entry(const std::string& name, const MetricValue& value) {
  const Json key = bytes_as_text(name);
  if (const auto* i = std::get_if<int64_t>(&value.base())) return {key, "i", *i};
  if (const auto* r = std::get_if<double>(&value.base())) return {key, "r", number(*r)};
  if (const auto* list = std::get_if<std::vector<int64_t>>(&value.base())) {
    return Json::array({key, "I", Json(*list)});
  }
  Json list = Json::array();
  for (const double r : std::get<std::vector<double>>(value.base())) list.push_back(number(r));
  return Json::array({key, "R", list});
}

MetricValue value_of(const std::string& kind, const Json& json) {
  if (kind == "i") return integer_of(json);
  if (kind == "r") return real_of(json);
  if (kind == "I") {
    std::vector<int64_t> list;
    for (const Json& item : json) list.push_back(integer_of(item));
    return list;
  }
  if (kind != "R") throw Error(invalid_argument("\"{}\" is no kind of metric", kind));
  std::vector<double> list;
  for (const Json& item : json) list.push_back(real_of(item));
  return list;
}

Json to_json(const MetricRecord& metrics) {
  Json json = Json::array();
  for (const auto& [name, value] : metrics) json.push_back(entry(name, value));
  return json;
}

MetricRecord metrics_of(const Json& json) {
  if (json.size() > kMetricsMax) throw Error(invalid_argument("{} metrics", json.size()));
  MetricRecord metrics;
  for (const Json& item : json) {
    metrics.set(text_of(item.at(0)), value_of(item.at(1).get<std::string>(), item.at(2)));
  }
  return metrics;
}

RoundReport report_of(const Json& json) {
  RoundReport report;
  report.round = count_of(json.at("round"));
  report.seconds = real_of(json.at("seconds"));
  report.clients = count_of(json.at("clients"));
  report.failures = count_of(json.at("failures"));
  for (const Json& item : json.at("failure-reasons")) {
    report.failure_reasons[text_of(item.at(0))] = count_of(item.at(1));
  }
  report.bytes_down = count_of(json.at("bytes-down"));
  report.bytes_up = count_of(json.at("bytes-up"));
  report.train = metrics_of(json.at("train"));
  report.evaluate = metrics_of(json.at("evaluate"));
  report.server = metrics_of(json.at("server"));
  report.note = text_of(json.at("note"));
  if (const auto found = json.find("virtual"); found != json.end()) {
    report.virtual_time = {real_of(found->at(0)), count_of(found->at(1)), count_of(found->at(2)),
                           count_of(found->at(3))};
  }
  for (const Json& item : json.at("failure-samples")) {
    report.failure_samples.push_back(
        {count_of(item.at(0)), text_of(item.at(1)), text_of(item.at(2))});
  }
  return report;
}

// Lets a line of hostile depth fail early.
bool shallow(int depth, Json::parse_event_t, Json&) { return depth <= 8; }

}  // namespace

std::string bytes_as_text(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xc0 | (byte >> 6));
      text += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return text;
}

Result<std::string> text_as_bytes(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i != text.size(); ++i) {
    const auto first = static_cast<uint8_t>(text[i]);
    if (first < 0x80) {
      bytes += text[i];
    } else if ((first == 0xc2 || first == 0xc3) && i + 1 != text.size()) {
      bytes += static_cast<char>((first << 6) | (static_cast<uint8_t>(text[++i]) & 0x3f));
    } else {
      return invalid_argument("a text with a character beyond 255");
    }
  }
  return bytes;
}

std::string report_line(const RoundReport& report) {
  Json reasons = Json::array();
  for (const auto& [kind, count] : report.failure_reasons) {
    reasons.push_back(Json::array({bytes_as_text(kind), count}));
  }
  Json samples = Json::array();
  for (const RoundReport::Failure& failure : report.failure_samples) {
    samples.push_back(
        Json::array({failure.node, bytes_as_text(failure.kind), bytes_as_text(failure.reason)}));
  }
  Json json = Json::object();
  json["round"] = report.round;
  json["seconds"] = number(report.seconds);
  json["clients"] = report.clients;
  json["failures"] = report.failures;
  json["failure-reasons"] = std::move(reasons);
  json["bytes-down"] = report.bytes_down;
  json["bytes-up"] = report.bytes_up;
  json["train"] = to_json(report.train);
  json["evaluate"] = to_json(report.evaluate);
  json["server"] = to_json(report.server);
  json["note"] = bytes_as_text(report.note);
  json["failure-samples"] = std::move(samples);
  if (const auto& v = report.virtual_time) {
    json["virtual"] = Json::array({number(v->seconds), v->wanted, v->asked, v->available});
  }
  return json.dump();
}

Result<RoundReport> parse_report_line(std::string_view line) {
  const Json json = Json::parse(line, shallow, /*allow_exceptions=*/false);
  if (json.is_discarded()) return invalid_argument("not a JSON document");
  try {
    return report_of(json);
  } catch (const Error& error) {
    return error.status();
  } catch (const Json::exception& error) {
    return invalid_argument("{}", error.what());
  }
}

}  // namespace umbel
