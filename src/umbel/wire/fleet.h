#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "umbel/base/keys.h"
#include "umbel/wire/content.h"

// The fleet service of umbel.v1: what a node and its hub say to each other over their session.  One
// frame is one binary WebSocket message.  docs/protocol.md says when each may be sent.
namespace umbel::wire {

inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr size_t kHelloBytesMax = 64 << 10;  // of a frame before the node is known
inline constexpr size_t kNonceBytes = 32;

struct BundleRef {
  std::string sha256;
  uint64_t size = 0;
  std::string id;
  friend bool operator==(const BundleRef&, const BundleRef&) = default;
};
struct RunInfo {
  RunId id;
  uint64_t seed = 1;
  uint64_t nodes = 0;
  ConfigRecord config;
  std::vector<std::string> origins;  // of each of config's entries: "umbel.toml:9"
  BundleRef bundle;
  friend bool operator==(const RunInfo&, const RunInfo&) = default;
};

// Node to hub.
struct Hello {
  std::vector<uint32_t> versions;
  std::vector<std::string> features;
  PublicKey key;
  std::string nonce;
  std::vector<uint64_t> holding;
  std::string software, platform;
  friend bool operator==(const Hello&, const Hello&) = default;
};
struct Proof {
  std::vector<std::byte> signature;
  friend bool operator==(const Proof&, const Proof&) = default;
};
struct Accept {
  uint64_t instruction = 0;
  friend bool operator==(const Accept&, const Accept&) = default;
};
struct NodeResult {
  uint64_t instruction = 0;
  Envelope reply;
  friend bool operator==(const NodeResult&, const NodeResult&) = default;
};
struct NodeLog {
  RunId run;
  std::string level, message;
  friend bool operator==(const NodeLog&, const NodeLog&) = default;
};
struct Draining {
  friend bool operator==(const Draining&, const Draining&) = default;
};
using NodeFrame = std::variant<Hello, Proof, Accept, NodeResult, NodeLog, Draining>;

// Hub to node.
struct Challenge {
  uint32_t version = kProtocolVersion;
  std::vector<std::string> features;
  std::string nonce;
  friend bool operator==(const Challenge&, const Challenge&) = default;
};
struct Welcome {
  std::string token, name;
  uint64_t inline_bytes_max = kInlineBytesMax;
  uint32_t heartbeat_seconds = 30;
  std::vector<uint64_t> keep;
  friend bool operator==(const Welcome&, const Welcome&) = default;
};
struct Refusal {
  std::string code, reason;
  friend bool operator==(const Refusal&, const Refusal&) = default;
};
struct Assign {
  uint64_t instruction = 0;
  RunInfo run;
  Envelope message;
  uint64_t client = 0;
  friend bool operator==(const Assign&, const Assign&) = default;
};
struct WrapUp {
  uint64_t instruction = 0;
  double seconds = 0;
  friend bool operator==(const WrapUp&, const WrapUp&) = default;
};
struct Cancel {
  uint64_t instruction = 0;
  friend bool operator==(const Cancel&, const Cancel&) = default;
};
struct Upload {
  uint64_t instruction = 0;
  uint64_t offset = 0;
  friend bool operator==(const Upload&, const Upload&) = default;
};
struct Done {
  uint64_t instruction = 0;
  bool counted = false;
  std::string reason;
  friend bool operator==(const Done&, const Done&) = default;
};
struct RunEnded {
  RunId run;
  friend bool operator==(const RunEnded&, const RunEnded&) = default;
};
using HubFrame =
    std::variant<Challenge, Welcome, Refusal, Assign, WrapUp, Cancel, Upload, Done, RunEnded>;

std::string format(const NodeFrame& frame);
std::string format(const HubFrame& frame);
// INVALID_ARGUMENT that names the field for what is not as docs/protocol.md says; unknown fields
// are ignored, a frame of an unknown kind is UNIMPLEMENTED.
Result<NodeFrame> parse_node_frame(std::span<const std::byte> bytes);
Result<HubFrame> parse_hub_frame(std::span<const std::byte> bytes);

// What a node signs to prove who it is: the words below, then the hub's and the node's nonce, then
// the SHA-256 of the certificate that the hub showed on this connection (32 zero bytes without
// TLS).
inline constexpr char kProofWords[] = "umbel.v1 node session";
std::string proof_text(std::string_view hub_nonce, std::string_view node_nonce,
                       std::string_view certificate_sha256);

}  // namespace umbel::wire
