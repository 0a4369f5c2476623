#include "umbel/strategy/payload.h"

#include <algorithm>
#include <array>
#include <utility>

#include "umbel/strategy/reals.h"
#include "umbel/strategy/step_limits.h"

namespace umbel {

namespace {

constexpr std::array<std::pair<PayloadMode, std::string_view>, 3> kModes{{
    {PayloadMode::kWeights, "weights"},
    {PayloadMode::kDelta, "delta"},
    {PayloadMode::kGradient, "gradient"},
}};

}  // namespace

std::string_view name_of(PayloadMode mode) {
  for (const auto& [candidate, name] : kModes) {
    if (candidate == mode) return name;
  }
  return "unknown";
}

std::optional<PayloadMode> payload_named(std::string_view name) {
  for (const auto& [mode, candidate] : kModes) {
    if (candidate == name) return mode;
  }
  return std::nullopt;
}

Status Payload::validate() const {
  UMBEL_RETURN_IF_ERROR(annotate(require_positive("rate", rate), "payload"));
  for (size_t i = 0; i != layers.size(); ++i) {
    if (layers[i].empty()) return invalid_argument("payload: layers[{}] has no pattern", i);
  }
  return absl::OkStatus();
}

std::string Payload::text() const {
  if (*this == Payload()) return "";
  std::string text(name_of(mode));
  if (mode == PayloadMode::kGradient) text += fmt::format(" rate {}", rate);
  for (const auto& patterns : layers) {
    text += " layers";
    for (const std::string& pattern : patterns) text += " " + pattern;
  }
  if (whole_down) text += " whole-down";
  if (frozen_down) text += " frozen-down";
  return text;
}

Array to_payload(PayloadMode mode, double rate, const Array& received, const Array& trained) {
  if (mode == PayloadMode::kWeights) return trained;
  const double scale = mode == PayloadMode::kDelta ? 1 : -rate;
  return zip_reals(received, trained,
                   [scale](size_t, double from, double to) { return (to - from) / scale; });
}

Array from_payload(PayloadMode mode, double rate, const Array& received, const Array& payload) {
  if (mode == PayloadMode::kWeights) return payload;
  const double scale = mode == PayloadMode::kDelta ? 1 : -rate;
  return zip_reals(received, payload,
                   [scale](size_t, double from, double by) { return from + scale * by; });
}

}  // namespace umbel
