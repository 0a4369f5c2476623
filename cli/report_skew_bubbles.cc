#include "report_skew_bubbles.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "report_svg.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr double kWidth = 560, kLeft = 96, kRight = 70, kTop = 6, kBottom = 24;
constexpr double kRowMost = 26, kExamplesMost = 1e15;

double examples_of(const ClientLabels& client, size_t label) {
  if (label >= client.shares.size()) return 0;
  const double examples = client.examples * client.shares[label];
  return examples > 0 && examples <= kExamplesMost ? examples : 0;
}

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>",
                     x, y, anchor, html_escaped(text));
}

std::string count_of(double examples) {
  return examples >= 0 && examples <= kExamplesMost ? count_text(std::llround(examples)) : "";
}

struct Frame {
  size_t labels;
  double column;  // width and height of a place
  double row;
  double most;  // the examples of the largest disc
};

std::string disc(const ClientLabels& client, size_t label, double y, const Frame& frame) {
  const double examples = examples_of(client, label);
  if (examples <= 0) return "";
  const double radius = 0.48 * std::min(frame.column, frame.row) * std::sqrt(examples / frame.most);
  return fmt::format(
      "<circle class=\"f{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"><title>{}: {} of label "
      "{}</title></circle>",
      label % 10, kLeft + frame.column * (static_cast<double>(label) + 0.5), y,
      std::max(radius, 0.6), html_escaped(client.name), count_of(examples), label);
}

std::string label_axis(const Frame& frame, double y) {
  std::string svg;
  const size_t every = (frame.labels + 19) / 20;
  for (size_t label = 0; label < frame.labels; label += every) {
    svg += text_at(kLeft + frame.column * (static_cast<double>(label) + 0.5), y, "middle",
                   std::to_string(label));
  }
  return svg + text_at(kLeft - 8, y, "end", "label");
}

Frame frame_of(const std::vector<ClientLabels>& clients) {
  Frame frame{};
  for (const ClientLabels& client : clients) {
    frame.labels = std::max(frame.labels, std::min(client.shares.size(), kBubbleLabelsMax));
    for (size_t label = 0; label != kBubbleLabelsMax; ++label) {
      frame.most = std::max(frame.most, examples_of(client, label));
    }
  }
  if (frame.labels == 0) return frame;
  frame.column = (kWidth - kLeft - kRight) / static_cast<double>(frame.labels);
  frame.row = std::clamp(frame.column, 14.0, kRowMost);
  return frame;
}

}  // namespace

std::string label_bubbles(const std::vector<ClientLabels>& clients) {
  const Frame frame = frame_of(clients);
  if (frame.labels == 0 || frame.most <= 0) return "";
  constexpr const char* kTitle = "Examples of single clients by label";
  const double height = kTop + frame.row * static_cast<double>(clients.size()) + kBottom;
  std::string svg = fmt::format(
      "<svg viewBox=\"0 0 {} {:.0f}\" role=\"img\" aria-label=\"{}\" "
      "xmlns=\"http://www.w3.org/2000/svg\">",
      kWidth, height, kTitle);
  for (size_t i = 0; i != clients.size(); ++i) {
    const double y = kTop + frame.row * (static_cast<double>(i) + 0.5);
    svg += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>",
                       kLeft, kWidth - kRight, y, y);
    svg += text_at(kLeft - 8, y + 3.5, "end", clients[i].name);
    svg += text_at(kWidth - 8, y + 3.5, "end", count_of(clients[i].examples));
    for (size_t label = 0; label != frame.labels; ++label) {
      svg += disc(clients[i], label, y, frame);
    }
  }
  svg += label_axis(frame, height - 6) + text_at(kWidth - 8, height - 6, "end", "examples");
  return fmt::format("<figure><figcaption><b>{}</b></figcaption>{}</svg></figure>\n", kTitle, svg);
}

}  // namespace umbel::cli
