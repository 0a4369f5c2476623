#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/record/array.h"

namespace umbel {

// What a client sends back of a tensor that it trained.  For real and complex tensors: integers and
// truth values travel as they are in every mode.
enum class PayloadMode : uint8_t {
  kWeights,   // the trained tensor
  kDelta,     // trained - received
  kGradient,  // (received - trained) / rate: gradients, summed over the local steps of that rate
};
std::string_view name_of(PayloadMode mode);  // "weights"
std::optional<PayloadMode> payload_named(std::string_view name);

// What travels in a round.  Which tensors may travel at all is for Roles to say.
struct Payload {
  PayloadMode mode = PayloadMode::kWeights;
  // For kGradient: the server takes a step of this rate against the mean gradient, and hands the
  // result to its optimizer as the clients' mean.  Finite and above 0.
  double rate = 1;
  // Subsets of the tensors, as patterns (name_matches): in round r those of layers[(r - 1) % size]
  // are exchanged, the others stay as they are.  Empty: all of them, always.
  std::vector<std::vector<std::string>> layers = {};
  // With `layers`: all tensors are sent to clients, and the subset comes back.  Otherwise the
  // subset goes both ways, and a client has the others as it received them last (from its own
  // `initial` if it never did).
  bool whole_down = false;
  // Sends the frozen tensors too, for clients that cannot make them.
  bool frozen_down = false;

  Status validate() const;   // INVALID_ARGUMENT for a rate or an empty set
  std::string text() const;  // what it says, in a line
  friend bool operator==(const Payload&, const Payload&) = default;
};

// The keys of a train message's config by which the server says how it wants its reply.
inline constexpr char kPayloadKey[] = "payload";               // a mode's name; absent: weights
inline constexpr char kPayloadRateKey[] = "payload-rate";      // of kGradient
inline constexpr char kPayloadArraysKey[] = "payload-arrays";  // names; absent: all that may leave
inline constexpr char kFrozenSha256Key[] = "frozen-sha256";    // of the server's frozen tensors

// What a mode makes of a tensor, and the tensor that it stands for.  Each number is computed in
// double and rounded once; both arrays have one dtype and shape, which the caller checked.
Array to_payload(PayloadMode mode, double rate, const Array& received, const Array& trained);
Array from_payload(PayloadMode mode, double rate, const Array& received, const Array& payload);

}  // namespace umbel
