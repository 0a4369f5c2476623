#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "umbel/umbel.h"

namespace umbel::bench {

// A Runtime that keeps nothing.
class Silent final : public Runtime {
 public:
  void log(LogLevel, std::optional<NodeId>, std::string_view) override {}
  void rounds_planned(uint64_t) override {}
  uint64_t last_round() const override { return 0; }
  void round_finished(const RoundReport&) override {}
  void publish(std::string_view, const MetricRecord&) override {}
  Status save(std::string_view, const ArrayRecord&) override { return absl::OkStatus(); }
  void round_model(uint64_t, const ArrayRecord&) override {}
  void ended_early(std::string_view) override {}
  Parallel& parallel() override { return serial_; }
  bool stop_requested() const override { return false; }

 private:
  Serial serial_;
};

// Seconds that `rounds` rounds of fed_avg take on a simulation: `clients` of `population` each.
double run_engine(const ClientApp& app, const ArrayRecord& initial, uint64_t population,
                  size_t clients, uint64_t rounds, size_t threads);

// pairs: how often each comparison is repeated; smoke: small sizes, to see that it runs.
struct Size {
  size_t pairs = 7;
  bool smoke = false;
};
void bench_overhead(Size size);    // S0, S6
void bench_population(Size size);  // S5
// The memory of a process that runs one population, in a process of its own.
void bench_memory(uint64_t population);

}  // namespace umbel::bench
