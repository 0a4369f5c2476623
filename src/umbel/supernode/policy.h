#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/keys.h"
#include "umbel/base/status.h"
#include "umbel/bundle/bundle.h"
#include "umbel/wire/content.h"

namespace umbel::supernode {

// Which lines of an app's log the hub gets to see.
enum class ClientLogs { kOff, kErrors, kFull };
Result<ClientLogs> parse_client_logs(std::string_view text);

// What the owner of a node allows.  The node has the last word over its data: a hub or an app that
// wants more gets an error reply that says what the policy forbids.
struct PolicyOptions {
  std::vector<PublicKey> trust_publishers;  // whose apps may run here
  bool allow_any_app = false;
  ClientLogs client_logs = ClientLogs::kOff;
  uint64_t reply_bytes_max = wire::kBlobBytesMax;  // of one reply's arrays
  uint64_t replies_per_hour = 0;                   // 0: any number
  bool arrays = true;                              // may leave
  // Names that may leave; empty: any.  With names, no settings leave, and no long lists.
  std::vector<std::string> metrics;
  std::vector<std::string> message_types;  // "train" allows "train.lora" too; empty: any
};

// Holds bundles, messages and replies to the owner's policy.  PERMISSION_DENIED for what it
// forbids.  may_run() from any thread, the others from one.
class Policy {
 public:
  using Time = std::chrono::milliseconds;  // since any fixed moment

  explicit Policy(PolicyOptions options) : options_(std::move(options)) {}

  Status may_run(const bundle::Bundle& bundle) const;
  Status may_handle(const Metadata& message) const;
  // Counts the reply if it may leave.
  Status may_leave(const wire::Envelope& reply, Time now);
  // An app's error as it may leave: its words may quote data, and stay here with ClientLogs::kOff.
  MessageError outgoing(const MessageError& error) const;
  // `level` as in AppLog.
  bool may_log(std::string_view level) const;

 private:
  Status may_leave(const wire::ContentHead& head) const;

  const PolicyOptions options_;
  std::deque<Time> sent_;  // within the last hour
};

}  // namespace umbel::supernode
