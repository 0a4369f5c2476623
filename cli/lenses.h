#pragma once

#include <string>
#include <vector>

#include "history.h"
#include "json_records.h"

namespace umbel::cli {

// One of the five views on a federation in production: what it says of a run, on one line, and the
// same as figures by name.
struct Lens {
  std::string name, text;
  MetricRecord figures;
};

// Bandwidth, latency, efficiency, reliability and privacy of a run, in this order.  What is unknown
// of it is left out.  Of `rounds` only `seconds` is read; these may be a sample of them all.
// Records that are understood:
//   delivery       replies, reply-seconds-p50, -p90, -p99: from a hub; without it the latency is
//                  that of rounds
//   data           bytes of all clients' local data: from an app that knows it
//   local-process  cpu-seconds of the app's process on this machine
//   link           tls (0, 1), restarts, bundle-bytes: of a run at a hub
std::vector<Lens> lenses_of(const Run& run, const std::vector<RoundEvent>& rounds,
                            const std::vector<RecordEvent>& records);

// Those that we make ourselves; 0 bytes are unknown.
RecordEvent link_record(bool tls, int64_t restarts, int64_t bundle_bytes);
RecordEvent process_record(double cpu_seconds);

// Whether lenses_of() reads records of this name.
bool is_for_lenses(std::string_view record);

// {"bandwidth": {"text": ..., figures}, ...}
Json json_of(const std::vector<Lens>& lenses);

}  // namespace umbel::cli
