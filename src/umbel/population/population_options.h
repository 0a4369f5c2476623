#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/status.h"
#include "umbel/population/traits.h"

namespace umbel {

// When clients can be asked, and stay while they work.
enum class Availability : uint8_t {
  kAlways,
  kProbability,  // each session_hours anew, with probability available_share
  kDaily,        // in a window of the client's local day, on available_share of the days
  kTrace,        // in the intervals of a trace
};
std::string_view name_of(Availability availability);  // "always", "probability", "daily", "trace"
enum class TraceEnd : uint8_t { kRepeat, kStop };
std::string_view name_of(TraceEnd end);  // "repeat", "stop"

// What clients are like: the keys of [population] in umbel.toml, with - for _.  The defaults are
// clients that are always there and take no time but their work's.
struct PopulationOptions {
  Availability availability = Availability::kAlways;
  double available_share = 1;   // probability: of the clients; daily: of the days; 0 to 1
  double session_hours = 1;     // probability: how long an answer holds
  double day_from = 22;         // daily: the local hour at which the window begins; 0 to 24
  double day_hours = 8;         // daily: how long it is; above 0, up to 24
  double day_jitter_hours = 1;  // daily: each client's begins up to so much earlier or later
  std::vector<double> time_zones = {0};  // hours from UTC; each client has one of them
  double start_hour = 0;                 // UTC, when the run begins

  std::string trace;  // a file: see trace.h; its availability, and its rates if it has them
  TraceEnd trace_end = TraceEnd::kRepeat;  // what a run that outlasts it does
  bool trace_reuse = false;  // client i is as client i modulo the number of the trace's clients

  // A client's factor is log-normal with median 1: exp(spread * normal).
  double speed_spread = 0;      // of how fast it works
  double down_mbits = 0;        // median, 10^6 bit/s to the client; 0: takes no time
  double up_mbits = 0;          // from the client
  double bandwidth_spread = 0;  // one factor for both directions
  double latency_seconds = 0;   // of each message and its reply together
  double latency_spread = 0;
  // Of work at speed 1.  A reply counts as num-examples times epochs (if it has such a metric).
  double seconds_per_example = 0;
  double dropout = 0;  // the probability that a client leaves during a message's work; 0 to 1

  std::vector<Attribute> attributes;

  // INVALID_ARGUMENT that names the key, what is expected and the value; also for a value other
  // than the default that has no effect, with the key that it needs.
  Status validate() const;
};

inline constexpr size_t kAttributesMax = 16;
inline constexpr size_t kCategoriesMax = 256;
inline constexpr size_t kAttributeNameMax = 64;  // bytes

}  // namespace umbel
