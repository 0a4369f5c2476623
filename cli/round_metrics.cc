#include "round_metrics.h"

#include <fmt/core.h>

#include <cmath>

#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr std::string_view kFederated = "federated-";

}  // namespace

MetricRecord all_metrics(const RoundEvent& round) {
  MetricRecord all;
  const auto set = [&all](std::string_view prefix, const MetricRecord& metrics) {
    for (const auto& [name, value] : metrics) all.set(fmt::format("{}{}", prefix, name), value);
  };
  set("", round.evaluate);
  set("", round.server);
  set(kFederated, round.evaluate);
  set("train-", round.train);
  return all;
}

bool is_repeated(const MetricRecord& metrics, std::string_view name) {
  if (name.substr(0, kFederated.size()) != kFederated) return false;
  const auto own = find_real(metrics, name);
  const auto plain = find_real(metrics, name.substr(kFederated.size()));
  return own && plain && (*own == *plain || (std::isnan(*own) && std::isnan(*plain)));
}

}  // namespace umbel::cli
