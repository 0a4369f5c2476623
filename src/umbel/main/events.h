#pragma once

#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "umbel/app/runtime.h"
#include "umbel/simulation/simulation.h"

namespace umbel {

// How a run ended.
struct Finished {
  std::string status;  // "completed", "failed", "stopped"
  std::string error;
  std::string reason;  // why the rounds ended before their planned number; or ""
  int exit_code = 0;
  uint64_t rounds = 0;
  double seconds = 0;
  uint64_t clients = 0;
  uint64_t failures = 0;
  MetricRecord metrics;
  std::string model_sha256;
};

// Writes the events of docs/app-process.md, one JSON object a line.  Any threads.  Events are lost
// without a word once nobody reads them: whoever started this program is then gone.
class Events {
 public:
  // With descriptor -1 nothing is written.
  explicit Events(int descriptor) : descriptor_(descriptor) {}

  void started(uint64_t nodes, size_t threads);
  void rounds(uint64_t rounds);
  void resumed(uint64_t round);
  void progress(const Progress& progress);
  void round(const RoundReport& report, double elapsed);
  void log(LogLevel level, std::optional<NodeId> node, std::string_view message);
  void record(std::string_view name, const MetricRecord& metrics);
  void artifact(std::string_view name, uint64_t bytes, std::string_view sha256);
  void finished(const Finished& finished);

 private:
  void write(const std::string& line);

  const int descriptor_;
  absl::Mutex mutex_;
};

}  // namespace umbel
