#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "find_run.h"
#include "round_metrics.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

using Row = std::vector<std::string>;

struct Round {
  RoundEvent event;
  MetricRecord metrics;
};

// Every name that any round has, in the order in which they came.
std::vector<std::string> names_of(const std::vector<Round>& rounds) {
  MetricRecord seen;
  for (const Round& round : rounds) {
    for (const auto& [name, ignored] : round.metrics) seen.set(name, 0);
  }
  std::vector<std::string> names;
  for (const auto& [name, ignored] : seen) names.push_back(name);
  return names;
}

bool in_virtual_time(const std::vector<Round>& rounds) {
  return std::any_of(rounds.begin(), rounds.end(),
                     [](const Round& round) { return round.event.virtual_time.has_value(); });
}

// ASKED is who was there, of those whom the sampler would have it.
Row virtual_cells(const RoundEvent& event) {
  if (!event.virtual_time) return {"-", "-", "-"};
  const VirtualRound& in = *event.virtual_time;
  const std::string asked =
      in.asked == in.wanted ? count_text(in.asked)
                            : fmt::format("{} of {}", count_text(in.asked), count_text(in.wanted));
  return {seconds_text(in.seconds), asked, count_text(in.available)};
}

std::string table(const std::vector<Round>& rounds) {
  const bool virtual_time = in_virtual_time(rounds);
  std::vector<std::string> names = names_of(rounds);
  std::erase_if(names, [&](const std::string& name) {
    return std::all_of(rounds.begin(), rounds.end(), [&](const Round& round) {
      return round.metrics.find(name) == nullptr || is_repeated(round.metrics, name);
    });
  });
  std::vector<Row> rows = {{"ROUND", "TIME", "CLIENTS", "FAILED", "DOWN", "UP"}};
  if (virtual_time) rows.front().insert(rows.front().end(), {"VIRTUAL", "ASKED", "THERE"});
  for (const std::string& name : names) rows.front().push_back(terminal_safe(name));
  for (const auto& [event, metrics] : rounds) {
    Row& row = rows.emplace_back(Row{std::to_string(event.round), seconds_text(event.seconds),
                                     count_text(event.clients), count_text(event.failures),
                                     bytes_text(event.bytes_down), bytes_text(event.bytes_up)});
    if (virtual_time) {
      for (std::string& cell : virtual_cells(event)) row.push_back(std::move(cell));
    }
    for (const std::string& name : names) {
      const MetricValue* value = metrics.find(name);
      row.push_back(value == nullptr ? "-" : metric_text(*value));
    }
  }
  return text_table(rows);
}

// RFC 4180: what has a comma, a quote or a line end stands in quotes.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

// A metric in full; a list as JSON has it.
std::string csv_value(const MetricValue* value) {
  if (value == nullptr) return "";
  if (const auto* integer = std::get_if<int64_t>(&value->base())) return std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&value->base())) return fmt::format("{}", *real);
  return csv_field(text_of(json_of(MetricRecord{{"list", *value}})["list"]));
}

std::string csv(const std::vector<Round>& rounds) {
  const std::vector<std::string> names = names_of(rounds);
  std::string text = "round,seconds,clients,failures,bytes-down,bytes-up";
  const bool virtual_time = in_virtual_time(rounds);
  if (virtual_time) text += ",virtual-seconds,wanted,asked,available";
  for (const std::string& name : names) text += "," + csv_field(name);
  for (const auto& [event, metrics] : rounds) {
    text += fmt::format("\n{},{},{},{},{},{}", event.round, event.seconds, event.clients,
                        event.failures, event.bytes_down, event.bytes_up);
    if (const auto& in = event.virtual_time) {
      text += fmt::format(",{},{},{},{}", in->seconds, in->wanted, in->asked, in->available);
    } else if (virtual_time) {
      text += ",,,,";
    }
    for (const std::string& name : names) text += "," + csv_value(metrics.find(name));
  }
  return text;
}

Json json_of_rounds(const std::vector<Round>& rounds) {
  Json list = Json::array();
  for (const auto& [event, metrics] : rounds) {
    list.push_back({{"round", event.round},
                    {"seconds", event.seconds},
                    {"clients", event.clients},
                    {"failures", event.failures},
                    {"failure-reasons", json_of(event.failure_reasons)},
                    {"failure-samples", json_of(event.failure_samples)},
                    {"bytes-down", event.bytes_down},
                    {"bytes-up", event.bytes_up},
                    {"metrics", json_of(metrics)},
                    {"note", event.note}});
    if (const auto& in = event.virtual_time) {
      list.back()["virtual-seconds"] = in->seconds;
      list.back()["wanted"] = in->wanted;
      list.back()["asked"] = in->asked;
      list.back()["available"] = in->available;
    }
  }
  return list;
}

}  // namespace

int run_rounds(const RoundsOptions& given, const Output& output) {
  RoundsOptions options = given;
  const auto chosen = run_or_latest(given.run);
  if (!chosen.ok()) return output.fail(chosen.status());
  options.run = *chosen;
  auto found = find_run(options.run, options.link);
  if (!found.ok()) return output.fail_on(options.link, found.status());
  Result<std::vector<RoundEvent>> events = found->history.rounds(options.run);
  if (!events.ok()) return output.fail(events.status());
  std::vector<Round> rounds;
  for (RoundEvent& event : *events) {
    MetricRecord metrics = all_metrics(event);
    rounds.push_back({std::move(event), std::move(metrics)});
  }
  if (options.csv) {
    output.say(csv(rounds));
  } else if (output.format() == Format::kText) {
    output.say(rounds.empty() ? fmt::format("run {}: no round was finished", options.run)
                              : table(rounds));
  }
  if (output.format() == Format::kJson) {
    output.result({{"run-id", options.run}, {"rounds", json_of_rounds(rounds)}});
  }
  return kDone;
}

}  // namespace umbel::cli
