#pragma once

#include <optional>
#include <string_view>

#include "umbel/app/runtime.h"

namespace umbel {

// A Runtime that keeps and shows nothing: for a federation inside a program of one's own, whose
// results run_rounds() returns.  The ServerApp's own work runs on the calling thread.
class SilentRuntime : public Runtime {
 public:
  void log(LogLevel, std::optional<NodeId>, std::string_view) override {}
  void rounds_planned(uint64_t) override {}
  uint64_t last_round() const override { return last_round_; }
  void round_finished(const RoundReport& report) override { last_round_ = report.round; }
  void publish(std::string_view, const MetricRecord&) override {}
  Status save(std::string_view, const ArrayRecord&) override { return absl::OkStatus(); }
  void round_model(uint64_t, const ArrayRecord&) override {}
  void ended_early(std::string_view) override {}
  Parallel& parallel() override { return serial_; }
  bool stop_requested() const override { return false; }

 private:
  Serial serial_;
  uint64_t last_round_ = 0;
};

}  // namespace umbel
