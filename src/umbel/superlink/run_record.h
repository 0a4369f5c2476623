#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "umbel/base/ids.h"
#include "umbel/record/record.h"

namespace umbel::superlink {

enum class RunStatus : uint8_t { kQueued, kStarting, kRunning, kCompleted, kFailed, kStopped };
std::string_view name_of(RunStatus status);  // "queued"
bool is_over(RunStatus status);

// What the hub knows of a run.  Times are milliseconds since 1970, UTC; 0 is "not yet".
struct RunRecord {
  RunId id;
  std::string bundle;  // its SHA-256
  std::string publisher, app, version;
  std::string account, account_key, federation;
  uint64_t nodes_asked = 0;  // 0: all that are connected
  uint64_t seed = 1;
  double wait_seconds = 60;  // for nodes to connect
  ConfigRecord config;
  std::vector<std::string> origins;
  RunStatus status = RunStatus::kQueued;
  std::vector<uint64_t> members;  // node numbers: client i of the run is members[i]
  int64_t created_ms = 0, started_ms = 0, finished_ms = 0;
  uint64_t rounds = 0, rounds_planned = 0;
  uint64_t restarts = 0;
  int64_t exit_code = 0;
  std::string error;
  bool stop_asked = false;
  // Not kept: how many nodes are there of those it waits for; nothing if it waits for none.
  std::optional<uint64_t> nodes_there;
};

}  // namespace umbel::superlink
