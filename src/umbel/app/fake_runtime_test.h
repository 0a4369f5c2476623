#pragma once

#include <absl/synchronization/mutex.h>

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "umbel/app/context.h"

namespace umbel {

// A Runtime that remembers what it was told.
class FakeRuntime final : public Runtime {
 public:
  void log(LogLevel, std::optional<NodeId> node, std::string_view message) override {
    absl::MutexLock lock(&mutex);
    lines.push_back((node ? std::to_string(node->value()) + ": " : "") + std::string(message));
  }
  void rounds_planned(uint64_t rounds) override { planned = rounds; }
  uint64_t last_round() const override { return reports.empty() ? 0 : reports.back().round; }
  void round_finished(const RoundReport& report) override { reports.push_back(report); }
  void publish(std::string_view name, const MetricRecord& metrics) override {
    published[std::string(name)] = metrics;
  }
  Status save(std::string_view name, const ArrayRecord& arrays) override {
    if (name.empty()) return invalid_argument("no name");
    saved[std::string(name)] = arrays;
    return absl::OkStatus();
  }
  void round_model(uint64_t, const ArrayRecord& arrays) override { model = arrays; }
  void ended_early(std::string_view reason) override { early = reason; }
  Parallel& parallel() override { return serial; }
  bool stop_requested() const override { return stop; }

  absl::Mutex mutex;
  std::vector<std::string> lines;
  uint64_t planned = 0;
  std::string early;
  std::vector<RoundReport> reports;
  std::map<std::string, MetricRecord> published;
  std::map<std::string, ArrayRecord> saved;
  ArrayRecord model;
  Serial serial;
  std::atomic<bool> stop{false};
};

}  // namespace umbel
