#include "report_population.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "report_svg.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr size_t kGroupsMax = 10;  // colours of the page
constexpr size_t kChartsMax = 8;

using Curve = std::vector<std::pair<double, double>>;
// Metric, group, its values by round.
using Curves = std::map<std::string, std::map<std::string, Curve>>;

Curves curves_of(const std::vector<RoundEvent>& rounds) {
  Curves curves;
  for (const RoundEvent& round : rounds) {
    for (const auto& [name, ignored] : round.evaluate) {
      const size_t at = name.find('@');
      const auto value = find_real(round.evaluate, name);
      if (at == std::string::npos || !value || !std::isfinite(*value)) continue;
      auto& groups = curves[name.substr(0, at)];
      const std::string group = name.substr(at + 1);
      if (groups.size() == kGroupsMax && !groups.contains(group)) continue;
      groups[group].emplace_back(static_cast<double>(round.round), *value);
    }
  }
  while (curves.size() > kChartsMax) curves.erase(std::prev(curves.end()));
  return curves;
}

// "accuracy at the end: men 0.912, women 0.843: a gap of 0.069."
std::string gap_words(const std::string& metric, const std::map<std::string, Curve>& groups) {
  std::string text;
  double least = INFINITY, most = -INFINITY;
  for (const auto& [group, curve] : groups) {
    const double value = curve.back().second;
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", html_escaped(group), metric_text(value));
    least = std::min(least, value);
    most = std::max(most, value);
  }
  text = fmt::format("<p><b>{}</b> at the end: {}", html_escaped(metric), text);
  if (groups.size() > 1) text += fmt::format(": a gap of {}", metric_text(most - least));
  return text + ".</p>\n";
}

std::string participation_charts(const std::vector<RoundEvent>& rounds) {
  Series wanted{"wanted", 4, {}}, asked{"asked", 0, {}}, counted{"counted", 2, {}},
      available{"there", 1, {}}, time{"seconds", 0, {}};
  for (const RoundEvent& round : rounds) {
    if (!round.virtual_time) continue;
    const VirtualRound& in = *round.virtual_time;
    const auto number = static_cast<double>(round.round);
    wanted.points.emplace_back(number, static_cast<double>(in.wanted));
    asked.points.emplace_back(number, static_cast<double>(in.asked));
    counted.points.emplace_back(number, static_cast<double>(round.clients));
    available.points.emplace_back(number, static_cast<double>(in.available));
    time.points.emplace_back(number, in.seconds);
  }
  return "<div class=\"charts\">\n" +
         line_chart("Clients that took part in a round", {wanted, asked, counted}) +
         line_chart("Clients that could have been asked", {available}) +
         line_chart("Virtual seconds of a round", {time}) + "</div>\n";
}

}  // namespace

bool is_group_metric(std::string_view name) { return name.find('@') != std::string_view::npos; }

std::string groups_section(const std::vector<RoundEvent>& rounds) {
  const Curves curves = curves_of(rounds);
  if (curves.empty()) return "";
  std::string text =
      "<h2>Groups</h2>\n<p class=\"soft\">Federated evaluation by group; groups of "
      "too few clients are left out.</p>\n";
  std::string words;
  text += "<div class=\"charts\">\n";
  for (const auto& [metric, groups] : curves) {
    std::vector<Series> series;
    for (const auto& [group, curve] : groups) {
      series.push_back({group, static_cast<int>(series.size()), curve});
    }
    text += line_chart(metric + " by group", series);
    words += gap_words(metric, groups);
  }
  return text + "</div>\n" + words;
}

std::string population_section(const Run& run, const std::vector<RoundEvent>& rounds) {
  if (!run.virtual_seconds) return "";
  return fmt::format(
             "<h2>As a deployment</h2>\n<p>With clients as [population] has them, a deployment "
             "like "
             "this would have taken <b>{}</b>.</p>\n",
             seconds_text(*run.virtual_seconds)) +
         participation_charts(rounds);
}

}  // namespace umbel::cli
