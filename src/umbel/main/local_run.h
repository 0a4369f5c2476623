#pragma once

#include <absl/synchronization/mutex.h>

#include <chrono>
#include <memory>
#include <string>

#include "umbel/app/client_app.h"
#include "umbel/app/server_app.h"
#include "umbel/main/carrier.h"

namespace umbel {

// The ServerApp's side of one run, from its spec to its last event, whatever carries its messages.
class LocalRun final : public Runtime {
 public:
  // umbel::Error if the spec cannot be carried out.
  LocalRun(RunSpec spec, const MakeCarrier& carrier, Events& events);
  LocalRun(RunSpec spec, const ClientApp& client, Events& events)
      : LocalRun(std::move(spec), simulated(client), events) {}

  // Runs the ServerApp and writes the last event.  Returns the exit code; throws nothing.
  int run(const ServerApp& server);
  // Any thread.
  void request_stop() { carrier_->request_stop(); }
  // False if client code is still running after a short while: the process then has to end without
  // unwinding.
  bool shut_down();

  void log(LogLevel level, std::optional<NodeId> node, std::string_view message) override;
  void rounds_planned(uint64_t rounds) override;
  uint64_t last_round() const override { return last_round_; }
  void round_finished(const RoundReport& report) override;
  void publish(std::string_view name, const MetricRecord& metrics) override;
  Status save(std::string_view name, const ArrayRecord& arrays) override;
  void round_model(uint64_t round, const ArrayRecord& arrays) override;
  std::optional<std::filesystem::path> next_checkpoint() override;
  void rounds_resumed(std::span<const RoundReport> finished) override;
  void ended_early(std::string_view reason) override { finished_.reason = reason; }
  Parallel& parallel() override { return carrier_->parallel(); }
  bool stop_requested() const override { return carrier_->stop_requested(); }

 private:
  double elapsed() const;
  void fail(const Status& status);
  void save_model();
  void count(const RoundReport& report);
  std::filesystem::path checkpoint(uint64_t series) const;
  void forget_checkpoints();

  RunSpec spec_;
  Events& events_;
  std::unique_ptr<Carrier> carrier_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  absl::Mutex saving_;
  uint64_t series_ = 0;  // of rounds, that were begun
  uint64_t last_round_ = 0;
  uint64_t saved_after_ = 0;  // the last finished round when the app saved model.safetensors
  uint64_t model_round_ = 0;  // the last finished round, and its model
  ArrayRecord model_;
  Finished finished_;
};

}  // namespace umbel
