#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/keys.h"
#include "umbel/http/client.h"
#include "umbel/supernode/policy.h"

namespace umbel::supernode {

struct NodeOptions {
  http::Endpoint hub;
  std::filesystem::path state;  // $UMBEL_HOME/supernode; made with mode 0700
  std::string name;             // for the owner's eyes until the hub says how it is registered
  ConfigRecord node_config;     // what ClientApps see as their node's own settings
  PolicyOptions policy;
  std::vector<std::filesystem::path> apps;  // pinned (Pins)
  bool build_from_source = false;
  std::string python;   // the interpreter for apps in Python; "": bundle::find_interpreter() says
  size_t apps_max = 2;  // processes at once
  std::chrono::seconds idle_max{600};  // of a process without work
  std::chrono::seconds drain_max{60};  // for running work, on the first signal
  bool exit_on_refusal = false;        // instead of trying again
  std::string software = "umbel-supernode";
};

// The long-running agent at a data site: one session with its hub, work in processes kept warm,
// replies kept until the hub has no more use for them.  What it holds in memory dies with it: after
// a restart the hub asks anew.
class Node {
 public:
  // Reads the pinned apps and takes the state folder.  ALREADY_EXISTS while another node uses it.
  static Result<std::unique_ptr<Node>> create(NodeOptions options, PrivateKey key);
  ~Node();

  // Runs until stopped: 0, or 2 if the hub refuses the node and exit_on_refusal is set.
  int run();
  // Finishes what runs, for at most drain_max; the second call ends all at once.  Any thread.
  void stop();

 private:
  class Impl;
  explicit Node(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace umbel::supernode
