#include "report_html.h"

#include <algorithm>
#include <set>

#include "progress.h"
#include "report_skew.h"
#include "report_style.h"
#include "report_svg.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr size_t kTableRowsMax = 500;
constexpr size_t kMetricChartsMax = 8;
constexpr size_t kSettingBytesMax = 300;
constexpr size_t kFailuresShownMax = 20;

std::string tile(std::string_view value, std::string_view name) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", html_escaped(value),
                     html_escaped(name));
}

std::string head(const Run& run) {
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
    if (const auto value = find_real(run.metrics, name)) text += tile(metric_text(*value), name);
  }
  text += tile(rounds_text(run.rounds, run.rounds_planned), "rounds");
  text += tile(count_text(run.clients), "clients trained");
  text += tile(count_text(run.failures), "clients failed");
  text += tile(seconds_text(run.seconds), "time");
  text += tile(bytes_text(run.bytes_down + run.bytes_up), "traffic, as if on a network");
  return text + "</div>\n";
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
    if (name != "num-examples") names.push_back(name);
  }
  if (names.size() > kMetricChartsMax) names.resize(kMetricChartsMax);
  return names;
}

Series series_of(const std::vector<RoundEvent>& rounds, const std::string& name,
                 MetricRecord RoundEvent::*metrics, const char* label, int colour) {
  Series series{label, colour, {}};
  for (const RoundEvent& round : rounds) {
    if (const auto value = find_real(round.*metrics, name)) {
      series.points.emplace_back(static_cast<double>(round.round), *value);
    }
  }
  return series;
}

std::string curves(const std::vector<RoundEvent>& rounds) {
  std::string text;
  for (const std::string& name : metric_names(rounds)) {
    text += line_chart(name, {series_of(rounds, name, &RoundEvent::server, "server", 0),
                              series_of(rounds, name, &RoundEvent::evaluate, "federated", 2),
                              series_of(rounds, name, &RoundEvent::train, "training", 1)});
  }
  if (text.empty()) return "<p class=\"soft\">No round was finished.</p>\n";
  if (rounds.size() > kPointsDrawnMax) {
    text = fmt::format("<p class=\"soft\">Of {} rounds {} are drawn.</p>\n", rounds.size(),
                       kPointsDrawnMax) +
           "<div class=\"charts\">\n" + text;
  } else {
    text = "<div class=\"charts\">\n" + text;
  }
  return text + "</div>\n";
}

std::string traffic(const ReportData& data) {
  Series down{"to clients", 0, {}}, up{"from clients", 1, {}};
  for (const RoundEvent& round : data.rounds) {
    down.points.emplace_back(static_cast<double>(round.round),
                             static_cast<double>(round.bytes_down));
    up.points.emplace_back(static_cast<double>(round.round), static_cast<double>(round.bytes_up));
  }
  const Run& run = data.run;
  std::string text = fmt::format(
      "<h2>What would have travelled</h2>\n<p>On a network this run would have sent <b>{}</b> to "
      "clients and <b>{}</b> back",
      bytes_text(run.bytes_down), bytes_text(run.bytes_up));
  if (const auto rounds = static_cast<int64_t>(data.rounds.size()); rounds > 0) {
    text += fmt::format(", {} and {} a round on average", bytes_text(run.bytes_down / rounds),
                        bytes_text(run.bytes_up / rounds));
  }
  return text + ".</p>\n<div class=\"charts\">\n" +
         line_chart("Bytes a round", {down, up}, AxisUnit::kBytes) + "</div>\n";
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

std::string cell(const std::optional<double>& value) {
  return "<td>" + (value ? metric_text(*value) : std::string("–")) + "</td>";
}

std::string row(const RoundEvent& round) {
  std::string text = fmt::format("<tr><td>{}</td>", round.round);
  for (const char* name : {"accuracy", "loss"}) {
    text += cell(find_real(round.server, name)) + cell(find_real(round.evaluate, name)) +
            cell(find_real(round.train, name));
  }
  text += fmt::format("<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
                      count_text(round.clients), count_text(round.failures),
                      bytes_text(round.bytes_down), bytes_text(round.bytes_up),
                      seconds_text(round.seconds));
  std::string note = round.note.substr(0, kSettingBytesMax);
  if (!round.failure_reasons.empty()) {
    note += (note.empty() ? "" : "; ") + reasons_summary(round.failure_reasons);
  }
  return text + fmt::format("<td class=\"note\">{}</td></tr>\n", html_escaped(note));
}

std::string round_table(const std::vector<RoundEvent>& rounds) {
  if (rounds.empty()) return "";
  const size_t every = (rounds.size() + kTableRowsMax - 1) / kTableRowsMax;
  std::string text = "<h2>Rounds</h2>\n";
  if (every > 1) {
    text += fmt::format("<p class=\"soft\">One in {} of {} rounds is shown, and the last.</p>\n",
                        every, count_text(static_cast<int64_t>(rounds.size())));
  }
  text += fmt::format(
      "<details class=\"card\"{}><summary>Every round in figures</summary><table><thead><tr>"
      "<th>round</th><th>accuracy, server</th><th>federated</th><th>training</th>"
      "<th>loss, server</th><th>federated</th><th>training</th><th>clients</th><th>failed</th>"
      "<th>down</th><th>up</th><th>time</th><th class=\"left\">note</th></tr></thead><tbody>\n",
      rounds.size() <= 50 ? " open" : "");
  for (size_t i = 0; i != rounds.size(); ++i) {
    if (i % every == 0 || i + 1 == rounds.size()) text += row(rounds[i]);
  }
  return text + "</tbody></table></details>\n";
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
  page += head(run) + "<h2>Curves</h2>\n" + curves(data.rounds);
  for (const RecordEvent& record : data.records) {
    if (record.name == "data-skew") page += skew_section(record.metrics);
  }
  page += traffic(data) + failures(data) + round_table(data.rounds);
  page += settings_table(data.settings) + made(data);
  return page + "<footer>Written by Umbel " UMBEL_VERSION
                " from the history of runs on this machine.</footer>\n</main>\n</body>\n</html>\n";
}

}  // namespace umbel::cli
