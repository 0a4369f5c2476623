#include "report_figures.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lenses.h"
#include "report_svg.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr size_t kRowsMax = 500;
constexpr size_t kNumbersShownMax = 12;  // of a list
constexpr size_t kNameBytesMax = 300;

template <class T>
std::string joined(const std::vector<T>& values) {
  std::string text;
  for (const T& value : values)
    text += (text.empty() ? "" : ", ") + metric_text(MetricValue(value));
  return text;
}

std::string value_shown(const MetricValue& value) {
  const auto* integers = std::get_if<std::vector<int64_t>>(&value.base());
  if (integers && integers->size() <= kNumbersShownMax) return joined(*integers);
  const auto* reals = std::get_if<std::vector<double>>(&value.base());
  if (reals && reals->size() <= kNumbersShownMax) return joined(*reals);
  return metric_text(value);
}

// Whether `name` is an end of the interval around another figure of the record.
bool is_end_of_interval(const MetricRecord& metrics, std::string_view name) {
  for (const std::string_view end : {"-low", "-high"}) {
    if (name.ends_with(end) && metrics.contains(name.substr(0, name.size() - end.size()))) {
      return true;
    }
  }
  return false;
}

std::string row(const RecordEvent& record, const std::string& name, const MetricValue& value) {
  std::string shown = value_shown(value);
  const MetricValue* low = record.metrics.find(name + "-low");
  const MetricValue* high = record.metrics.find(name + "-high");
  if (low && high) shown += fmt::format(" ({} to {})", metric_text(*low), metric_text(*high));
  return fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                     html_escaped(record.name.substr(0, kNameBytesMax)),
                     html_escaped(name.substr(0, kNameBytesMax)), html_escaped(shown));
}

}  // namespace

bool is_figure(const RecordEvent& record) {
  return record.name != "data-skew" && !is_for_lenses(record.name);
}

std::string figures_section(const std::vector<RecordEvent>& records) {
  std::string rows;
  size_t count = 0, more = 0;
  for (const RecordEvent& record : records) {
    if (!is_figure(record)) continue;
    for (const auto& [name, value] : record.metrics) {
      if (is_end_of_interval(record.metrics, name)) continue;
      if (++count <= kRowsMax) {
        rows += row(record, name, value);
      } else {
        ++more;
      }
    }
  }
  if (rows.empty()) return "";
  return "<h2>What the app published</h2>\n<div class=\"card\"><table class=\"words\"><thead><tr>"
         "<th>record</th><th>figure</th><th>value</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div>\n" +
         (more ? fmt::format("<p class=\"soft\">And {} more figures.</p>\n", count_text(more))
               : "");
}

Json json_of_figures(const std::vector<RecordEvent>& records) {
  Json all = Json::object();
  for (const RecordEvent& record : records) {
    if (is_figure(record)) all[record.name] = json_of(record.metrics);
  }
  return all;
}

}  // namespace umbel::cli
