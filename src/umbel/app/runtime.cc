#include "umbel/app/runtime.h"

#include <fmt/core.h>

namespace umbel {

Status check_metric_count(const MetricRecord& metrics) {
  if (metrics.size() <= kMetricsMax) return absl::OkStatus();
  return invalid_argument("{} metrics, the limit is {}", metrics.size(), kMetricsMax);
}

MetricRecord all_metrics(const RoundReport& report) {
  MetricRecord all;
  const auto set = [&all](std::string_view prefix, const MetricRecord& metrics) {
    for (const auto& [name, value] : metrics) all.set(fmt::format("{}{}", prefix, name), value);
  };
  set("train-", report.train);
  set("federated-", report.evaluate);
  set("", report.evaluate);
  set("", report.server);
  return all;
}

}  // namespace umbel
