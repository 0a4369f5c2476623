#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>

#include "umbel/base/shared_blob.h"

namespace umbel::supernode {

// Stands between a node and its hub and passes every byte on, until a test has it cut: the first
// connection that carries so many bytes in one direction is then reset, in the middle of whatever
// it was doing.
class CutProxy {
 public:
  explicit CutProxy(uint16_t hub_port);
  ~CutProxy();

  uint16_t port() const { return port_; }
  // Cuts one connection once it has carried `bytes` to the node, or from it.
  void cut_down_after(uint64_t bytes) { cut_down_ = bytes; }
  void cut_up_after(uint64_t bytes) { cut_up_ = bytes; }
  int cuts() const { return cuts_; }

 private:
  struct Pair;
  void run(const std::stop_token& stop);
  // False if the pair is at its end.
  bool pass(Pair& pair, bool down);

  const uint16_t hub_port_;
  Descriptor listener_;
  uint16_t port_ = 0;
  std::atomic<uint64_t> cut_down_{UINT64_MAX}, cut_up_{UINT64_MAX};
  std::atomic<int> cuts_{0};
  std::jthread thread_;
};

}  // namespace umbel::supernode
