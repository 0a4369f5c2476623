#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "umbel/supernode/node.h"

namespace umbel::supernode {

// What the program umbel-supernode is told, by its config file and then by its arguments.
struct ProgramOptions {
  std::string superlink;  // HOST:PORT
  std::string trust;      // "sha256:...", a file of authorities, or "": the system's
  bool insecure_no_tls = false;
  std::string state;                     // "": $UMBEL_HOME/supernode
  std::vector<std::string> node_config;  // 'key=value ...', of the arguments
  std::vector<std::string> trust_publishers;
  std::string client_logs = "off";
  int64_t apps_max = 2, drain_seconds = 60, idle_seconds = 600;
  bool lock_memory = false;
  NodeOptions node;  // the rest; finish_options() fills in what is made of the above
};

// Applies a config file (docs/supernode.md).  INVALID_ARGUMENT is `FILE:LINE: what is wrong`.
Status apply_config_file(std::string_view text, std::string_view file, ProgramOptions& options);

// Adds 'key=value key="two words" list=[1,2]': values as in TOML, a bare word is text.
Status apply_node_config(std::string_view text, ConfigRecord& config);

// All that a node needs, checked.
Result<NodeOptions> finish_options(ProgramOptions options);

}  // namespace umbel::supernode
