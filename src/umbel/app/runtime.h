#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/ids.h"
#include "umbel/base/parallel.h"
#include "umbel/record/message.h"

namespace umbel {

enum class LogLevel : uint8_t { kInfo, kWarn, kError };

// What a round came to in a simulation with a population.
struct VirtualRound {
  double seconds = 0;      // that the round would have taken
  uint64_t wanted = 0;     // clients to train, as the sampler has it
  uint64_t asked = 0;      // of them, since no more were there
  uint64_t available = 0;  // who could have been asked, of all clients (World::available())
  friend bool operator==(const VirtualRound&, const VirtualRound&) = default;
};

// What one round came to, for progress, history and reports.  No client's own numbers are in it.
struct RoundReport {
  uint64_t round = 0;
  double seconds = 0;
  uint64_t clients = 0;  // replies to train messages that counted
  uint64_t failures = 0;
  std::map<std::string, uint64_t> failure_reasons;  // by kind: {"client-failed", 2}
  uint64_t bytes_down = 0;  // that a network would have carried, from and to the server
  uint64_t bytes_up = 0;
  MetricRecord train;                        // weighted means over the clients that trained
  MetricRecord evaluate;                     // federated evaluation; empty without one
  MetricRecord server;                       // the app's own evaluation of the global model
  std::string note;                          // "skipped: ..."
  std::optional<VirtualRound> virtual_time;  // in a simulation with a population
  // Some of the failures, those of the least client numbers: at most three.
  struct Failure {
    uint64_t node;
    std::string kind;
    std::string reason;
  };
  std::vector<Failure> failure_samples;
};

inline constexpr size_t kMetricsMax = 10'000;  // of one round or published record
inline constexpr size_t kRecordNameMax = 255;  // bytes
// INVALID_ARGUMENT for more metrics than that.
Status check_metric_count(const MetricRecord& metrics);

// All of a round's metrics in one record: the server's under their own names, federated
// evaluation's as "federated-NAME" (and as NAME where the server has none), training's as
// "train-NAME".
MetricRecord all_metrics(const RoundReport& report);

// What a run tells whoever watches it, and asks of whatever carries it.  Implemented by the
// runtimes; apps see it through Context.  Calls may come from any thread.
class Runtime {
 public:
  virtual ~Runtime() = default;

  // `node` is nothing for the ServerApp's own lines.
  virtual void log(LogLevel level, std::optional<NodeId> node, std::string_view message) = 0;
  // How many rounds are planned in all, those before included.
  virtual void rounds_planned(uint64_t rounds) = 0;
  // The greatest round number reported so far; a second series of rounds goes on from there.
  virtual uint64_t last_round() const = 0;
  virtual void round_finished(const RoundReport& report) = 0;
  virtual void publish(std::string_view name, const MetricRecord& metrics) = 0;
  // Keeps arrays as a file of the run, .safetensors.
  virtual Status save(std::string_view name, const ArrayRecord& arrays) = 0;
  // The global model after a finished round.  The last one is kept as a file of the run: as
  // model.safetensors if the app saves none by that name, as model-round-N.safetensors if the run
  // is stopped or fails.
  virtual void round_model(uint64_t round, const ArrayRecord& arrays) = 0;
  // Where the series of rounds that begins now is kept after each round, for the case of a crash
  // (app/checkpoint.h); each call is for another series.  Nothing: it is not kept.
  virtual std::optional<std::filesystem::path> next_checkpoint() { return std::nullopt; }
  // A series goes on after a crash: these rounds of it were finished before, and reported.
  virtual void rounds_resumed(std::span<const RoundReport> finished) { (void)finished; }
  // The rounds ended before the planned number, and why.
  virtual void ended_early(std::string_view reason) = 0;

  virtual Parallel& parallel() = 0;
  virtual bool stop_requested() const = 0;
};

}  // namespace umbel
