#include "umbel/superlink/node_session.h"

#include <algorithm>

#include "umbel/base/text.h"
#include "umbel/superlink/log.h"
#include "umbel/superlink/overload.h"

namespace umbel::superlink {

Fleet::NodeSession::NodeSession(Fleet& fleet, std::shared_ptr<http::Session> session)
    : fleet_(fleet), session_(std::move(session)), serial_(fleet.next_serial_++) {}

void Fleet::NodeSession::limit_handshake() {
  fleet_.timers_.after(fleet_.options_.handshake_timeout, [self = weak_from_this()] {
    const auto session = self.lock();
    if (!session || session->step_ >= Step::kOpen) return;
    session->session_->close("no proof of identity in time");
  });
}

void Fleet::NodeSession::refuse(std::string_view code, const std::string& reason) {
  step_ = Step::kRefused;
  log_warn("fleet: node refused peer={} code={} reason={}", session_->peer(), code, reason);
  session_->send(wire::format(wire::HubFrame(wire::Refusal{std::string(code), reason})));
  session_->close(std::string(code));
}

void Fleet::NodeSession::received(std::span<const std::byte> message) {
  if (step_ == Step::kRefused) return;
  if (step_ != Step::kOpen && message.size() > wire::kHelloBytesMax) {
    return refuse("bad-frame", "a frame that is too long before the node is known");
  }
  Result<wire::NodeFrame> frame = wire::parse_node_frame(message);
  if (!frame.ok()) {
    // A newer node's frame is no reason to part.
    if (step_ == Step::kOpen && frame.status().code() == absl::StatusCode::kUnimplemented) return;
    return refuse("bad-frame", umbel::message_of(frame.status()));
  }
  if (step_ == Step::kOpen) return on_frame(*std::move(frame));
  if (auto* hello = std::get_if<wire::Hello>(&*frame); hello && step_ == Step::kHello) {
    return on_hello(std::move(*hello));
  }
  if (const auto* proof = std::get_if<wire::Proof>(&*frame); proof && step_ == Step::kProof) {
    return on_proof(*proof);
  }
  refuse("out-of-turn", "a frame that is not expected before the node is known");
}

void Fleet::NodeSession::on_hello(wire::Hello hello) {
  if (std::ranges::find(hello.versions, wire::kProtocolVersion) == hello.versions.end()) {
    return refuse("version",
                  fmt::format("this hub speaks version {} of the protocol, the node does not; "
                              "the older of the two needs an update",
                              wire::kProtocolVersion));
  }
  hello_ = std::move(hello);
  std::string nonce(wire::kNonceBytes, '\0');
  random_bytes(std::as_writable_bytes(std::span(nonce)));
  nonce_ = nonce;
  step_ = Step::kProof;
  session_->send(wire::format(wire::HubFrame(wire::Challenge{wire::kProtocolVersion, {}, nonce_})));
}

void Fleet::NodeSession::on_proof(const wire::Proof& proof) {
  const std::optional<NodeRecord> node = fleet_.roster_.node(hello_.key);
  if (!node) {
    return refuse(
        "unknown-key",
        fmt::format("no node is registered with the key {}; an administrator registers it by: "
                    "umbel supernode register NAME {} LINK",
                    hello_.key.text(), hello_.key.text()));
  }
  const std::string text = wire::proof_text(nonce_, hello_.nonce, session_->certificate_sha256());
  if (!hello_.key.verifies(std::as_bytes(std::span(text)), proof.signature)) {
    if (const Status kept = fleet_.audit_.add_refusal(fmt::format("peer {}", session_->peer()),
                                                      "join", node->name, "bad signature");
        !kept.ok()) {
      log_error("{}", umbel::message_of(kept));
    }
    return refuse("bad-signature",
                  "the signature is not that of the key; or the connection was not made "
                  "to this hub itself");
  }
  node_ = node->number;
  name_ = node->name;
  step_ = Step::kOpen;
  session_->set_message_max(wire::kFrameBytesMax);
  fleet_.joined(*node, session_, serial_, hello_);
  hello_ = {};
}

void Fleet::NodeSession::on_frame(wire::NodeFrame frame) {
  std::visit(
      Overload{[&](wire::NodeResult& result) {
                 if (auto collection = fleet_.collection_of(result.instruction)) {
                   collection->result(node_, std::move(result));
                 } else {
                   // Given up, or from before a restart: the node may drop it.
                   session_->send(wire::format(wire::HubFrame(wire::Cancel{result.instruction})));
                 }
               },
               [&](wire::NodeLog& line) {
                 if (fleet_.hooks_.log) fleet_.hooks_.log(node_, line);
               },
               [&](wire::Draining&) { fleet_.draining(node_, serial_); }, [](wire::Accept&) {},
               [&](auto&) { refuse("out-of-turn", "a greeting in the middle of a session"); }},
      frame);
}

void Fleet::NodeSession::closed(const Status& status) {
  if (step_.exchange(Step::kRefused) == Step::kOpen || node_ != 0)
    fleet_.left(node_, serial_, status);
}

}  // namespace umbel::superlink
