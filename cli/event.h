#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "umbel/record/record.h"

namespace umbel::cli {

// What an app process says on its event descriptor, one JSON object a line; docs/app-process.md
// specifies it.  A reason with its count, in the order in which reasons came.
using FailureReasons = std::vector<std::pair<std::string, int64_t>>;

// One client's failure: which client, of which kind, and what it said.
struct FailureSample {
  int64_t node = -1;  // -1: no node
  std::string kind, reason;
};

struct StartedEvent {
  int64_t nodes = 0, threads = 0;
};
struct RoundsEvent {
  int64_t rounds = 0;
};
struct ProgressEvent {
  int64_t round = 0;
  std::string phase;
  int64_t done = 0, total = 0;
  double clients_per_second = 0;
};
struct VirtualRound {
  double seconds = 0;
  int64_t wanted = 0, asked = 0, available = 0;
};
struct RoundEvent {
  int64_t round = 0;
  double seconds = 0, elapsed = 0;
  int64_t clients = 0, failures = 0;
  FailureReasons failure_reasons;
  std::vector<FailureSample> failure_samples;
  int64_t bytes_down = 0, bytes_up = 0;
  MetricRecord train, evaluate, server;
  std::string note;
  std::optional<VirtualRound> virtual_time;  // in a simulation with a population
};
struct LogEvent {
  std::string side, level;
  int64_t node = -1;  // -1: no node
  std::string message;
};
struct RecordEvent {
  std::string name;
  MetricRecord metrics;
};
struct ArtifactEvent {
  std::string name;
  int64_t bytes = 0;
  std::string sha256;
};
struct FinishedEvent {
  std::string status, error;
  std::string reason;  // why the run ended before its planned rounds; "": it did not
  int64_t exit_code = 0, rounds = 0;
  double seconds = 0;
  int64_t clients = 0, failures = 0;
  MetricRecord metrics;
  std::string model_sha256;
};
struct UnknownEvent {};

using Event = std::variant<UnknownEvent, StartedEvent, RoundsEvent, ProgressEvent, RoundEvent,
                           LogEvent, RecordEvent, ArtifactEvent, FinishedEvent>;

constexpr size_t kEventBytesMax = 16 << 20;     // one line
constexpr size_t kFailureSamplesMax = 3;        // of one round
constexpr size_t kSampleReasonBytesMax = 1000;  // the rest of a sample's reason is cut

// Checks one line from an app; nothing in it is trusted.  INVALID_ARGUMENT names the event, the
// field, what was expected and what came.  An event of an unknown name is UnknownEvent; unknown
// fields are ignored, absent ones have the values above unless they name the event.
Result<Event> parse_event(std::string_view line);

// The rule for an artifact's name: a plain file name, so that no path leads out of a run's folder.
Status check_artifact_name(std::string_view name);

}  // namespace umbel::cli
