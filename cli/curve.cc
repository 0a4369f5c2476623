#include "curve.h"

#include <algorithm>
#include <cmath>

#include "progress.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr int kRows = 8;
constexpr int kPlotColumnsMax = 60;

// A raster of dots: braille cells have 2 x 4 of them, plain cells one.
class Raster {
 public:
  Raster(int columns, int rows, bool braille)
      : across_(braille ? 2 : 1),
        down_(braille ? 4 : 1),
        columns_(columns),
        cells_(static_cast<size_t>(columns * rows), 0),
        rows_(rows) {}

  int width() const { return columns_ * across_; }
  int height() const { return rows_ * down_; }

  void set(int x, int y) {
    static constexpr int kDots[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    cells_[static_cast<size_t>(y / down_ * columns_ + x / across_)] |=
        kDots[y % down_][x % across_];
  }
  std::string row(int row) const {
    std::string text;
    for (int column = 0; column != columns_; ++column) {
      const int dots = cells_[static_cast<size_t>(row * columns_ + column)];
      if (down_ == 1) {
        text += dots != 0 ? '*' : ' ';
      } else if (dots == 0) {
        text += ' ';
      } else {  // U+2800 + dots as UTF-8
        text += '\xe2';
        text += static_cast<char>(0xa0 | (dots >> 6));
        text += static_cast<char>(0x80 | (dots & 0x3f));
      }
    }
    return text;
  }

 private:
  int across_, down_, columns_;
  std::vector<int> cells_;
  int rows_;
};

void draw_line(Raster& raster, double x0, double y0, double x1, double y1) {
  const int steps = static_cast<int>(std::max({std::fabs(x1 - x0), std::fabs(y1 - y0), 1.0}) + 0.5);
  for (int i = 0; i <= steps; ++i) {
    const double t = static_cast<double>(i) / steps;
    raster.set(static_cast<int>(std::lround(x0 + t * (x1 - x0))),
               static_cast<int>(std::lround(y0 + t * (y1 - y0))));
  }
}

std::string right_aligned(const std::string& text, size_t width) {
  return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
}

}  // namespace

Curve main_curve(const std::vector<RoundEvent>& rounds) {
  Curve curve;
  for (const char* name : {"accuracy", "loss"}) {
    for (const RoundEvent& round : rounds) {
      const auto value = best_metric(round, name);
      if (!value || !std::isfinite(*value)) continue;
      curve.name = name;
      curve.rounds.push_back(static_cast<double>(round.round));
      curve.values.push_back(*value);
    }
    if (!curve.values.empty()) break;
  }
  return curve;
}

Curve thinned(const Curve& curve, size_t points_max) {
  if (curve.values.size() <= points_max || points_max < 2) return curve;
  Curve thin{curve.name, {}, {}};
  for (size_t i = 0; i != points_max; ++i) {
    const size_t at = i * (curve.values.size() - 1) / (points_max - 1);
    thin.rounds.push_back(curve.rounds[at]);
    thin.values.push_back(curve.values[at]);
  }
  return thin;
}

std::string draw_curve(const Curve& curve, int columns, bool utf8) {
  if (curve.values.size() < 2) return "";
  const auto [least, most] = std::minmax_element(curve.values.begin(), curve.values.end());
  const std::string top = metric_text(*most), bottom = metric_text(*least);
  const size_t margin = std::max(top.size(), bottom.size());
  const int plot = std::clamp(columns - static_cast<int>(margin) - 3, 10, kPlotColumnsMax);
  Raster raster(plot, kRows, utf8);
  const double range = *most > *least ? *most - *least : 1;
  if (!std::isfinite(range)) return "";
  const double first = curve.rounds.front();
  const double span = std::max(1.0, curve.rounds.back() - first);
  const auto x = [&](size_t i) { return (curve.rounds[i] - first) / span * (raster.width() - 1); };
  const auto y = [&, greatest = *most](size_t i) {
    return (greatest - curve.values[i]) / range * (raster.height() - 1);
  };
  for (size_t i = 1; i != curve.values.size(); ++i) {
    draw_line(raster, x(i - 1), y(i - 1), x(i), y(i));
  }
  const std::string edge = utf8 ? " │" : " |";
  std::string text = std::string(margin, ' ') + "  " + curve.name + "\n";
  for (int row = 0; row != kRows; ++row) {
    const std::string label = row == 0 ? top : row == kRows - 1 ? bottom : "";
    text += right_aligned(label, margin) + edge + raster.row(row) + "\n";
  }
  const std::string from = fmt::format("round {:.0f}", first);
  const std::string to = fmt::format("{:.0f}", curve.rounds.back());
  const size_t gap = static_cast<size_t>(plot) - std::min(static_cast<size_t>(plot), from.size());
  return text + std::string(margin + 2, ' ') + from + right_aligned(to, gap);
}

}  // namespace umbel::cli
