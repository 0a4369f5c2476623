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

bool is_number(const MetricValue* value) {
  return value && (std::holds_alternative<int64_t>(value->base()) ||
                   std::holds_alternative<double>(value->base()));
}

// "(0.91 to 0.95)", of NAME-low and NAME-high where both are there; or nothing.
std::string interval_of(const MetricRecord& metrics, const std::string& name) {
  const MetricValue* low = metrics.find(name + "-low");
  const MetricValue* high = metrics.find(name + "-high");
  if (!is_number(metrics.find(name)) || !is_number(low) || !is_number(high)) return "";
  return fmt::format(" ({} to {})", metric_text(*low), metric_text(*high));
}

// Whether it stands beside another figure of the record.
bool is_end_of_interval(const MetricRecord& metrics, const std::string& name) {
  for (const std::string_view end : {"-low", "-high"}) {
    if (!name.ends_with(end)) continue;
    const std::string around = name.substr(0, name.size() - end.size());
    if (!interval_of(metrics, around).empty() && !is_end_of_interval(metrics, around)) return true;
  }
  return false;
}

// At most kNameBytesMax bytes, cut between two characters of UTF-8.
std::string_view shortened(std::string_view name) {
  if (name.size() <= kNameBytesMax) return name;
  size_t size = kNameBytesMax;
  while (size > 0 && (static_cast<unsigned char>(name[size]) & 0xc0) == 0x80) --size;
  return name.substr(0, size);
}

std::string row(const RecordEvent& record, const std::string& name, const MetricValue& value) {
  const std::string shown = value_shown(value) + interval_of(record.metrics, name);
  return fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                     html_escaped(shortened(record.name)), html_escaped(shortened(name)),
                     html_escaped(shown));
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
