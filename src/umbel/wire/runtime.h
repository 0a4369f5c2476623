#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "umbel/aggregate/fold.h"
#include "umbel/wire/fleet.h"

// The runtime service of umbel.v1: what a daemon and an app's process say to each other over a Unix
// socket.  A frame whose content has a blob that is not in the frame comes with a descriptor of
// shared memory that holds it (runner/channel.h).
namespace umbel::wire {

// Daemon to app.
struct ClientStart {
  RunInfo run;
  ConfigRecord node_config;
  std::optional<uint64_t> twin_examples = {};  // Run::twin_examples
  friend bool operator==(const ClientStart&, const ClientStart&) = default;
};
struct Handle {
  uint64_t instruction = 0;
  Envelope message;
  RecordDict state;               // arrays included: a state is small, or the frame is refused
  ConfigRecord node_config = {};  // of this client; empty: that in ClientStart
  // What is known of the wrap-up already: in how many seconds, and how many there are then.
  struct WrapUpTime {
    double in = 0, seconds = 0;
    friend bool operator==(const WrapUpTime&, const WrapUpTime&) = default;
  };
  std::optional<WrapUpTime> wrap_up = {};
  // The number under which the app keeps the message's content (kContentsKept); 0: it need not.
  // Only for an app with the feature kFeatureContents.
  uint64_t content = 0;
  bool kept = false;  // the message has no content: it came before, under that number
  // Where in the ReplyMemory the reply's blob may lie, and how large it may be there; 0: not there.
  uint64_t reply_offset = 0, reply_size = 0;
  friend bool operator==(const Handle&, const Handle&) = default;
};
struct AppWrapUp {
  uint64_t instruction = 0;
  double seconds = 0;
  friend bool operator==(const AppWrapUp&, const AppWrapUp&) = default;
};
struct FoldDone {
  uint64_t call = 0;
  Layout arrays;  // of the mean, in the blob
  uint64_t blob_size = 0;
  aggregate::FoldResult result;  // its arrays empty
};
struct Weigh {
  uint64_t call = 0;
  uint64_t reply = 0;
  MetricRecord metrics;
  friend bool operator==(const Weigh&, const Weigh&) = default;
};
struct Arrived {
  Envelope reply;
  friend bool operator==(const Arrived&, const Arrived&) = default;
};
struct Stop {
  friend bool operator==(const Stop&, const Stop&) = default;
};
// Memory of both processes for replies' blobs, for an app with the feature kFeatureReplyMemory; its
// descriptor comes beside it.
struct ReplyMemory {
  uint64_t size = 0;
  friend bool operator==(const ReplyMemory&, const ReplyMemory&) = default;
};
using DaemonFrame =
    std::variant<ClientStart, Handle, AppWrapUp, FoldDone, Weigh, Arrived, Stop, ReplyMemory>;

// App to daemon.
inline constexpr char kFeatureContents[] = "contents";
inline constexpr char kFeatureReplyMemory[] = "reply-memory";
inline constexpr size_t kContentsKept = 2;  // an app keeps the last numbers that were new to it
struct AppReady {
  std::string software;
  std::vector<std::string> features = {};
  friend bool operator==(const AppReady&, const AppReady&) = default;
};
struct Handled {
  uint64_t instruction = 0;
  Envelope reply;
  RecordDict state;
  bool in_reply_memory = false;  // the reply's blob lies where Handle said
  friend bool operator==(const Handled&, const Handled&) = default;
};
struct AppLog {
  std::string level, message;
  std::optional<NodeId> node;
  friend bool operator==(const AppLog&, const AppLog&) = default;
};
struct FoldCall {
  uint64_t call = 0;
  std::string type;
  uint64_t round = 0;
  std::vector<uint64_t> nodes;
  uint64_t first_message = 0;  // the id of the message to nodes[0]; the others' follow
  ContentHead content;
  BlobRef blob;
  std::optional<Layout> layout;  // none: metrics only
  std::string weight_key;
  bool weighs = false;  // the app makes the weights itself: Weigh and Weight
  double weight_max = 0;
  std::optional<double> deadline_seconds;
  std::optional<double> wrap_up_seconds;
  friend bool operator==(const FoldCall&, const FoldCall&) = default;
};
struct Weight {
  uint64_t call = 0;
  uint64_t reply = 0;
  double weight = 0;
  std::string error;
  friend bool operator==(const Weight&, const Weight&) = default;
};
struct Push {
  Envelope message;
  friend bool operator==(const Push&, const Push&) = default;
};
struct Forget {
  std::vector<uint64_t> messages;
  friend bool operator==(const Forget&, const Forget&) = default;
};
using AppFrame = std::variant<AppReady, Handled, AppLog, FoldCall, Weight, Push, Forget>;

std::string format(const DaemonFrame& frame);
std::string format(const AppFrame& frame);
Result<DaemonFrame> parse_daemon_frame(std::span<const std::byte> bytes);
Result<AppFrame> parse_app_frame(std::span<const std::byte> bytes);

}  // namespace umbel::wire
