#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"

namespace umbel::supernode {

// What a node says of itself to its owner: STATE/status.json, and `umbel-supernode status`.
struct NodeStatus {
  bool connected = false, draining = false;
  std::string hub, name, key, software;
  int64_t pid = 0;
  int64_t started_ms = 0, changed_ms = 0;  // since 1970
  struct Run {
    uint64_t run = 0;
    std::string app;
    bool working = false;
    bool process = false;
  };
  std::vector<Run> runs;
  uint64_t fetching = 0, waiting = 0, working = 0, kept = 0;  // instructions
  uint64_t replies = 0, failures = 0;                         // since the start
  std::string last_error;
};
// `running` is false when the node's process is no more.
std::string format_json(const NodeStatus& status, bool running = true);
Result<NodeStatus> parse_status(const std::string& json);
// As a table for people.
std::string format_text(const NodeStatus& status, bool running);

// Readers see the file before or after, whole.  Not synced: after a power cut it may be gone.
Status write_status(const std::filesystem::path& file, const NodeStatus& status);

// The right to use a state folder; ALREADY_EXISTS while another process has it.
Result<Descriptor> lock_state(const std::filesystem::path& state);
bool is_locked(const std::filesystem::path& state);

}  // namespace umbel::supernode
