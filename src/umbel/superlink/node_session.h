#pragma once

#include "umbel/superlink/fleet.h"

namespace umbel::superlink {

// One connection of a node: who it is, and then its frames.
class Fleet::NodeSession final : public http::SessionListener,
                                 public std::enable_shared_from_this<NodeSession> {
 public:
  NodeSession(Fleet& fleet, std::shared_ptr<http::Session> session);
  // Closes it if the node has not proved who it is by then.
  void limit_handshake();

  void received(std::span<const std::byte> message) override;
  void closed(const Status& status) override;

 private:
  enum class Step : uint8_t { kHello, kProof, kOpen, kRefused };
  void on_hello(wire::Hello hello);
  void on_proof(const wire::Proof& proof);
  void on_frame(wire::NodeFrame frame);
  void refuse(std::string_view code, const std::string& reason);

  Fleet& fleet_;
  const std::shared_ptr<http::Session> session_;
  const uint64_t serial_;
  std::atomic<Step> step_{Step::kHello};
  std::string nonce_;
  wire::Hello hello_;
  uint64_t node_ = 0;
  std::string name_;
};

}  // namespace umbel::superlink
