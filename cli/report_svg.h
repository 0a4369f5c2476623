#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace umbel::cli {

// Charts as SVG text.  Colours are the page's classes c0 to c9, so that they suit light and dark.
// Values that are not finite are left out.
struct Series {
  std::string name;
  int colour = 0;
  std::vector<std::pair<double, double>> points;  // round, value; in order
};

constexpr size_t kPointsDrawnMax = 500;

enum class AxisUnit { kNumber, kBytes };

// A line for each series over one axis of rounds, with a legend; "" if no series has a point.
std::string line_chart(std::string_view title, const std::vector<Series>& series,
                       AxisUnit unit = AxisUnit::kNumber);

struct Bar {
  std::string label;
  double value = 0;
  std::string hint;  // what hovering shows
  int colour = 0;
};
// Upright bars from zero, each with its label.
std::string bar_chart(std::string_view title, const std::vector<Bar>& bars);

struct StackedBar {
  std::string label;
  std::vector<double> parts;  // one a class, in the same order everywhere
};
// Lying bars of equal length, each divided as its parts are.
std::string stacked_bars(std::string_view title, const std::vector<StackedBar>& bars);

// The text with &, <, >, " and ' as entities and control characters shown.
std::string html_escaped(std::string_view text);

}  // namespace umbel::cli
