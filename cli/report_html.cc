#include "report_html.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "lenses.h"
#include "progress.h"
#include "report_energy.h"
#include "report_figures.h"
#include "report_population.h"
#include "report_rounds.h"
#include "report_skew.h"
#include "report_source.h"
#include "report_style.h"
#include "report_svg.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr size_t kMetricChartsMax = 8;
constexpr size_t kSettingBytesMax = 300;
constexpr size_t kFailuresShownMax = 20;

std::string tile(std::string_view value, std::string_view name) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", html_escaped(value),
                     html_escaped(name));
}

// Names with single numbers, loss and accuracy first.
std::vector<std::string> metric_names(const std::vector<RoundEvent>& rounds) {
  std::set<std::string> found;
  for (const RoundEvent& round : rounds) {
    for (const MetricRecord* metrics : {&round.server, &round.evaluate, &round.train}) {
      for (const auto& [name, ignored] : *metrics) {
        if (found.size() < 1000 && find_real(*metrics, name)) found.insert(name);
      }
    }
  }
  std::vector<std::string> names;
  for (const char* first : {"accuracy", "loss"}) {
    if (found.erase(first) != 0) names.emplace_back(first);
  }
  for (const std::string& name : found) {
    if (name != "num-examples" && !is_group_metric(name)) names.push_back(name);
  }
  if (names.size() > kMetricChartsMax) names.resize(kMetricChartsMax);
  return names;
}

Series series_of(const std::vector<RoundEvent>& rounds, const std::string& name,
                 const Source& source) {
  Series series{source.name, source.colour, {}};
  for (const RoundEvent& round : rounds) {
    if (const auto value = find_real(round.*source.metrics, name)) {
      series.points.emplace_back(static_cast<double>(round.round), *value);
    }
  }
  return series;
}

// The best accuracy, or loss where there is none, from the first source that has it.
std::string best_tile(const std::vector<RoundEvent>& rounds) {
  for (const std::string name : {"accuracy", "loss"}) {
    for (const Source& source : kSources) {
      std::optional<std::pair<double, double>> best;  // round, value
      for (const auto& point : series_of(rounds, name, source).points) {
        if (!std::isfinite(point.second)) continue;
        const bool better =
            best && (name == "loss" ? point.second < best->second : point.second > best->second);
        if (!best || better) best = point;
      }
      if (!best) continue;
      return tile(metric_text(best->second),
                  fmt::format("best {}, {}, round {:.0f}", name, source.name, best->first));
    }
  }
  return "";
}

std::string head(const ReportData& data) {
  const Run& run = data.run;
  std::string text = fmt::format(
      "<div class=\"head\"><h1>{}<small>{}</small></h1><span class=\"pill {}\">{}</span></div>\n",
      html_escaped(run.app), html_escaped(run.version), html_escaped(run.status),
      html_escaped(run.status));
  text += fmt::format("<p class=\"soft\">Run {} of {}/{}, {}; {} nodes, seed {}</p>\n", run.id,
                      html_escaped(run.publisher), html_escaped(run.app), utc_text(run.started_ms),
                      count_text(run.nodes), run.seed);
  if (!run.error.empty()) {
    text += fmt::format("<div class=\"error\">{}</div>\n", html_escaped(run.error));
  }
  if (!run.reason.empty()) {
    text += fmt::format("<p>It ended after {} rounds: {}.</p>\n",
                        rounds_text(run.rounds, run.rounds_planned), html_escaped(run.reason));
  }
  text += "<div class=\"tiles\">\n";
  for (const char* name : {"accuracy", "loss"}) {
    if (const auto value = find_real(run.metrics, name))
      text += tile(metric_text(*value), fmt::format("{} at the end", name));
  }
  text += best_tile(data.rounds);
  text += tile(rounds_text(run.rounds, run.rounds_planned), "rounds");
  text += tile(count_text(run.clients), "clients trained");
  text += tile(count_text(run.failures), "clients failed");
  text += tile(seconds_text(run.seconds), "time");
  text += tile(bytes_text(run.bytes_down + run.bytes_up), "traffic, as if on a network");
  return text + "</div>\n";
}

bool is_constant(const Series& series) {
  return std::all_of(series.points.begin(), series.points.end(), [&](const auto& point) {
    return point.second == series.points.front().second;
  });
}

// "loss, federated: 0.500 in all 3 rounds." A chart would show no more.
std::string constant_words(const std::string& metric, const Series& series) {
  const size_t rounds = series.points.size();
  return fmt::format(
      "<p><b>{}</b>, {}: {} in {}.</p>\n", html_escaped(metric), series.name,
      metric_text(MetricValue(series.points.front().second)),
      rounds == 1 ? fmt::format("round {:.0f}, the only one that has it", series.points[0].first)
                  : fmt::format("all {} rounds that have it", rounds));
}

// A chart for each metric; a sentence where no series of it ever changes.
std::string curves(const std::vector<RoundEvent>& rounds) {
  std::string text, words;
  for (const std::string& name : metric_names(rounds)) {
    std::vector<Series> all;
    for (const Source& source : kSources) {
      Series series = series_of(rounds, name, source);
      if (!series.points.empty()) all.push_back(std::move(series));
    }
    if (!std::all_of(all.begin(), all.end(), is_constant)) {
      text += line_chart(name, all);
    } else {
      for (const Series& series : all) words += constant_words(name, series);
    }
  }
  if (text.empty() && !words.empty()) return words;
  if (text.empty()) return "<p class=\"soft\">No round was finished.</p>\n";
  if (rounds.size() > kPointsDrawnMax) {
    text = fmt::format("<p class=\"soft\">Of {} rounds {} are drawn.</p>\n", rounds.size(),
                       kPointsDrawnMax) +
           "<div class=\"charts\">\n" + text;
  } else {
    text = "<div class=\"charts\">\n" + text;
  }
  return text + "</div>\n" + words;
}

// The bytes of each round: a line each way, or one for both, or a sentence if they never change.
std::string traffic_chart(const std::vector<RoundEvent>& rounds) {
  Series down{"to clients", 0, {}}, up{"from clients", 1, {}};
  for (const RoundEvent& round : rounds) {
    const auto number = static_cast<double>(round.round);
    down.points.emplace_back(number, static_cast<double>(round.bytes_down));
    up.points.emplace_back(number, static_cast<double>(round.bytes_up));
  }
  if (rounds.empty()) return "";
  const bool equal = down.points == up.points;
  if (is_constant(down) && is_constant(up)) {
    return equal ? "<p>Every round carries the same, and as much down as up.</p>\n"
                 : "<p>Every round carries the same.</p>\n";
  }
  if (equal) down.name = "to clients, and as many back";
  return "<div class=\"charts\">\n" +
         line_chart("Bytes a round", equal ? std::vector{down} : std::vector{down, up},
                    AxisUnit::kBytes) +
         "</div>\n";
}

std::string traffic(const ReportData& data) {
  const Run& run = data.run;
  std::string text = fmt::format(
      "<h2>What would have travelled</h2>\n<p>On a network this run would have sent <b>{}</b> to "
      "clients and <b>{}</b> back",
      bytes_text(run.bytes_down), bytes_text(run.bytes_up));
  if (const auto rounds = static_cast<int64_t>(data.rounds.size()); rounds > 0) {
    text += fmt::format(", {} and {} a round on average", bytes_text(run.bytes_down / rounds),
                        bytes_text(run.bytes_up / rounds));
  }
  return text + ".</p>\n" + traffic_chart(data.rounds);
}

std::string lenses(const ReportData& data) {
  std::string text = "<h2>Five lenses</h2>\n<div class=\"card\"><table class=\"words\"><tbody>\n";
  for (const Lens& lens : lenses_of(data.run, data.rounds, data.records)) {
    text += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", lens.name, html_escaped(lens.text));
  }
  return text + "</tbody></table></div>\n";
}

// The first failures, with what the clients said.
std::string failure_samples(const std::vector<RoundEvent>& rounds) {
  std::string rows;
  size_t count = 0;
  for (const RoundEvent& round : rounds) {
    for (const FailureSample& sample : round.failure_samples) {
      if (++count > kFailuresShownMax) break;
      rows +=
          fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", round.round,
                      sample.node < 0 ? std::string("–") : std::to_string(sample.node),
                      html_escaped(sample.kind),
                      html_escaped(std::string_view(sample.reason).substr(0, kSettingBytesMax)));
    }
  }
  if (rows.empty()) return "";
  return "<p>Some of them, and what was wrong:</p>\n<div class=\"card\"><table class=\"words\">"
         "<thead><tr><th>round</th><th>client</th><th>kind</th><th>reason</th></tr></thead>"
         "<tbody>\n" +
         rows + "</tbody></table></div>\n";
}

std::string failures(const ReportData& data) {
  const Run& run = data.run;
  if (run.failures == 0) return "<h2>Failures</h2>\n<p>No client failed.</p>\n";
  std::string text = fmt::format(
      "<h2>Failures</h2>\n<p>{} clients were asked in vain; a round goes on without them.</p>\n"
      "<div class=\"card\"><table><thead><tr><th>reason</th><th>clients</th></tr></thead><tbody>",
      count_text(run.failures));
  for (const auto& [reason, count] : run.failure_reasons) {
    text += fmt::format("<tr><td>{}</td><td>{}</td></tr>", html_escaped(reason), count_text(count));
  }
  return text + "</tbody></table></div>\n" + failure_samples(data.rounds);
}

std::string settings_table(const std::vector<Setting>& settings) {
  std::string text =
      "<h2>Configuration</h2>\n<div class=\"card\"><table "
      "class=\"words\"><thead><tr><th>setting</th>"
      "<th>value</th><th>from</th></tr></thead><tbody>\n";
  for (const Setting& setting : settings) {
    std::string value = setting.value.text();
    if (value.size() > kSettingBytesMax) value = value.substr(0, kSettingBytesMax) + "...";
    text +=
        fmt::format("<tr><td>{}</td><td><code>{}</code></td><td class=\"soft\">{}</td></tr>\n",
                    html_escaped(setting.key), html_escaped(value), html_escaped(setting.origin));
  }
  return settings.empty() ? "" : text + "</tbody></table></div>\n";
}

std::string made(const ReportData& data) {
  const Run& run = data.run;
  std::string text =
      "<h2>What it made, and where</h2>\n<div class=\"card\"><table class=\"words\">"
      "<tbody>\n";
  const auto line = [&](std::string_view name, const std::string& value) {
    if (value.empty()) return;
    text += fmt::format("<tr><td>{}</td><td><code>{}</code></td></tr>\n", html_escaped(name),
                        html_escaped(value));
  };
  line("model, SHA-256", run.model_sha256);
  for (const ArtifactEvent& artifact : data.artifacts) {
    line(artifact.name, fmt::format("{}, SHA-256 {}", bytes_text(artifact.bytes), artifact.sha256));
  }
  line("folder", run.folder);
  line("app", run.path);
  line("worker threads", run.threads > 0 ? std::to_string(run.threads) : "all processors");
  line("machine", run.machine);
  return text + "</tbody></table></div>\n";
}

}  // namespace

std::string report_html(const ReportData& data) {
  const Run& run = data.run;
  std::string page = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}, run "
      "{}</title>"
      "\n<style>{}</style>\n</head>\n<body>\n<main>\n",
      html_escaped(run.app), run.id, kReportStyle);
  page += head(data) + "<h2>Curves</h2>\n" + curves(data.rounds);
  page += groups_section(data.rounds) + population_section(data.run, data.rounds);
  for (const RecordEvent& record : data.records) {
    if (record.name == "data-skew") page += skew_section(record.metrics);
  }
  page += figures_section(data.records);
  page += lenses(data) + twin_section(data) + energy_section(data) + traffic(data) +
          failures(data) + round_table(data.rounds);
  page += settings_table(data.settings) + made(data);
  return page + "<footer>Written by Umbel " UMBEL_VERSION
                " from the history of runs on this machine.</footer>\n</main>\n</body>\n</html>\n";
}

}  // namespace umbel::cli
