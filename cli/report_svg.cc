#include "report_svg.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr double kWidth = 560, kHeight = 260;
constexpr double kLeftMin = 58, kRight = 14, kTop = 14, kBottom = 34;
constexpr double kDigitWidth = 6.6;  // of a tick's text, at most
constexpr double kRowHeight = 20, kBarWidthMax = 60;

// Steps of 1, 2 or 5 times a power of ten, about `count` of them in the range.
double nice_step(double range, int count) {
  const double rough = range / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

struct Axis {
  double least, most, step;
  double at(double value, double from, double to) const {
    return from + (value - least) / (most - least) * (to - from);
  }
};

Axis axis_of(double least, double most, int count, AxisUnit unit) {
  if (!(most > least)) {
    const double margin = std::max(std::fabs(most) * 0.1, 1e-9);
    least -= margin;
    most += margin;
  }
  const double range = most - least;
  const double kilo = unit == AxisUnit::kBytes && range >= 1024
                          ? std::pow(1024.0, std::floor(std::log2(range / count) / 10))
                          : 1;
  const double step = nice_step(range / kilo, count) * kilo;
  return {std::floor(least / step + 1e-9) * step, std::ceil(most / step - 1e-9) * step, step};
}

std::string tick_text(double value, double step, AxisUnit unit) {
  if (unit == AxisUnit::kBytes) return bytes_text(static_cast<int64_t>(std::min(value, 9e18)));
  if (std::fabs(value) < step * 1e-6) return "0";
  const double most = std::max(std::fabs(value), step);
  if (most >= 1e5 || step < 1e-4) return fmt::format("{:.3g}", value);
  const int digits = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
  return fmt::format("{:.{}f}", value, digits);
}

std::string open_svg(std::string_view title, double width, double height) {
  return fmt::format(
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\" xmlns=\"http://www.w3.org/2000/"
      "svg\">",
      width, height, html_escaped(title));
}

std::string figure(std::string_view title, const std::string& svg, const std::string& legend = "") {
  const std::string keys = legend.empty() ? "" : "<span class=\"keys\">" + legend + "</span>";
  return fmt::format("<figure><figcaption><b>{}</b>{}</figcaption>{}</figure>\n",
                     html_escaped(title), keys, svg);
}

std::string grid_line(double left, double y, const std::string& label) {
  return fmt::format(
      "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
      "<text class=\"tick\" x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>",
      left, kWidth - kRight, y, left - 8, y + 3.5, label);
}

// The lines of an axis with their labels, and in `left` where they begin: no label is cut off.
std::string grid(const Axis& y, AxisUnit unit, double& left) {
  std::vector<std::pair<double, std::string>> ticks;
  left = kLeftMin;
  for (int i = 0; y.least + i * y.step <= y.most + y.step * 1e-6 && i < 20; ++i) {
    const double value = y.least + i * y.step;
    const auto& [at, label] =
        ticks.emplace_back(y.at(value, kHeight - kBottom, kTop), tick_text(value, y.step, unit));
    left = std::max(left, 12 + kDigitWidth * static_cast<double>(label.size()));
  }
  std::string svg;
  for (const auto& [at, label] : ticks) svg += grid_line(left, at, label);
  return svg;
}

std::vector<std::pair<double, double>> drawn_points(const Series& series) {
  std::vector<std::pair<double, double>> finite, thin;
  for (const auto& point : series.points) {
    if (std::isfinite(point.second) && std::fabs(point.second) < 1e300) finite.push_back(point);
  }
  if (finite.size() <= kPointsDrawnMax) return finite;
  for (size_t i = 0; i != kPointsDrawnMax; ++i) {
    thin.push_back(finite[i * (finite.size() - 1) / (kPointsDrawnMax - 1)]);
  }
  return thin;
}

std::string line_of(const std::vector<std::pair<double, double>>& points, const Axis& x,
                    const Axis& y, double margin, int colour) {
  std::string path;
  const auto left = [&](double value) { return x.at(value, margin, kWidth - kRight); };
  const auto top = [&](double value) { return y.at(value, kHeight - kBottom, kTop); };
  for (const auto& [round, value] : points) {
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", left(round), top(value));
  }
  const auto& last = points.back();
  return fmt::format(
      "<path class=\"line s{0}\" d=\"{1}\"/><circle class=\"f{0}\" cx=\"{2:.1f}\" "
      "cy=\"{3:.1f}\" r=\"3\"/>",
      colour, path, left(last.first), top(last.second));
}

std::string legend_entry(int colour, std::string_view name) {
  return fmt::format("<span class=\"key\"><i class=\"b{}\"></i>{}</span>", colour,
                     html_escaped(name));
}

std::string round_ticks(const Axis& x, double left) {
  std::string text;
  const double step = std::max(1.0, x.step);
  for (double round = std::ceil(x.least / step) * step; round <= x.most + 1e-9; round += step) {
    text += fmt::format(
        "<text class=\"tick\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        x.at(round, left, kWidth - kRight), kHeight - kBottom + 17, tick_text(round, step, {}));
  }
  return text +
         fmt::format("<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">round</text>",
                     kWidth - kRight, kHeight - 3);
}

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string safe;
  for (const char c : terminal_safe(text)) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string line_chart(std::string_view title, const std::vector<Series>& series, AxisUnit unit) {
  std::vector<std::vector<std::pair<double, double>>> drawn;
  double least = INFINITY, most = -INFINITY, first = INFINITY, last = -INFINITY;
  for (const Series& one : series) {
    drawn.push_back(drawn_points(one));
    for (const auto& [round, value] : drawn.back()) {
      least = std::min(least, value);
      most = std::max(most, value);
      first = std::min(first, round);
      last = std::max(last, round);
    }
  }
  if (!(least <= most)) return "";
  if (unit == AxisUnit::kBytes) least = std::min(least, 0.0);
  const Axis y = axis_of(least, most, 5, unit);
  Axis x = axis_of(first, last, 6, AxisUnit::kNumber);
  if (last > first) x.least = first, x.most = last;
  std::string svg = open_svg(title, kWidth, kHeight), legend;
  double left_edge = 0;
  svg += grid(y, unit, left_edge);
  svg += round_ticks(x, left_edge);
  for (size_t i = 0; i != series.size(); ++i) {
    if (drawn[i].empty()) continue;
    svg += line_of(drawn[i], x, y, left_edge, series[i].colour);
    legend += legend_entry(series[i].colour, series[i].name);
  }
  return figure(title, svg + "</svg>", legend);
}

std::string bar_chart(std::string_view title, const std::vector<Bar>& bars) {
  double most = 0;
  for (const Bar& bar : bars) {
    if (std::isfinite(bar.value)) most = std::max(most, bar.value);
  }
  if (bars.empty() || most <= 0 || most > 1e300) return "";
  const Axis y = axis_of(0, most, 4, AxisUnit::kNumber);
  std::string svg = open_svg(title, kWidth, kHeight);
  double left_edge = 0;
  svg += grid(y, AxisUnit::kNumber, left_edge);
  const double room = (kWidth - left_edge - kRight) / static_cast<double>(bars.size());
  const double wide = std::min(room * 0.76, kBarWidthMax);
  const size_t label_every = std::max<size_t>(1, (bars.size() + 11) / 12);
  for (size_t i = 0; i != bars.size(); ++i) {
    const double value = std::isfinite(bars[i].value) ? std::max(0.0, bars[i].value) : 0;
    const double top = y.at(value, kHeight - kBottom, kTop);
    const double left = left_edge + room * static_cast<double>(i);
    svg += fmt::format(
        "<rect class=\"f{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
        "rx=\"1.5\"><title>{}</title></rect>",
        bars[i].colour, left + (room - wide) / 2, top, wide, kHeight - kBottom - top,
        html_escaped(bars[i].hint));
    if (i % label_every != 0) continue;
    svg +=
        fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                    left + room / 2, kHeight - kBottom + 17, html_escaped(bars[i].label));
  }
  return figure(title, svg + "</svg>");
}

std::string stacked_bars(std::string_view title, const std::vector<StackedBar>& bars) {
  if (bars.empty()) return "";
  const double height = kRowHeight * static_cast<double>(bars.size()) + 6;
  const double left = 96, width = kWidth - left - kRight;
  std::string svg = open_svg(title, kWidth, height), legend;
  size_t parts = 0;
  for (size_t row = 0; row != bars.size(); ++row) {
    const double top = kRowHeight * static_cast<double>(row) + 3;
    double total = 0, at = left;
    for (const double part : bars[row].parts)
      total += std::isfinite(part) ? std::max(0.0, part) : 0;
    svg += fmt::format("<text class=\"tick\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
                       left - 8, top + 11, html_escaped(bars[row].label));
    parts = std::max(parts, bars[row].parts.size());
    for (size_t i = 0; i != bars[row].parts.size() && total > 0; ++i) {
      const double part = bars[row].parts[i];
      if (!std::isfinite(part) || part <= 0) continue;
      const double span = part / total * width;
      svg += fmt::format(
          "<rect class=\"f{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"14\">"
          "<title>label {}: {:.4g} of {:.4g}</title></rect>",
          i % 10, at, top, span, i, part, total);
      at += span;
    }
  }
  for (size_t i = 0; i != std::min<size_t>(parts, 10); ++i) {
    legend += legend_entry(static_cast<int>(i), std::to_string(i));
  }
  return figure(title, svg + "</svg>", legend);
}

}  // namespace umbel::cli
