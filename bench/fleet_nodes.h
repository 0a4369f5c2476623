#pragma once

#include <absl/synchronization/mutex.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "umbel/http/client.h"
#include "umbel/supernode/backoff.h"
#include "umbel/wire/fleet.h"

namespace umbel::bench {

// Nodes that speak umbel.v1's fleet service to a hub and run no apps: what they do with a frame is
// up to `on_frame`.  Each has a key and a session of its own; one thread serves all of them.  A
// session that is lost is opened again as umbel-supernode does it.
class FleetNodes {
 public:
  struct Hooks {
    std::function<void(size_t node, wire::HubFrame frame)> on_frame;
    std::function<void()> all_joined;  // each time that the last of them is in
  };
  FleetNodes(http::Endpoint hub, size_t count, Hooks hooks);
  ~FleetNodes();

  // Makes the nodes known to the hub, as the owner of this administrator's key.
  Status enroll(const std::filesystem::path& admin_key);
  void join();
  void send(size_t node, const wire::NodeFrame& frame);
  std::string token(size_t node) const;
  const http::Endpoint& hub() const { return hub_; }

 private:
  class Node;
  void joined();
  void lost();

  const http::Endpoint hub_;
  const Hooks hooks_;
  std::vector<std::shared_ptr<Node>> nodes_;
  size_t joined_ = 0;  // on the client's thread
  std::unique_ptr<http::SessionClient> client_;
};

}  // namespace umbel::bench
