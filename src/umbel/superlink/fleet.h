#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "umbel/http/session.h"
#include "umbel/superlink/audit.h"
#include "umbel/superlink/collection.h"
#include "umbel/superlink/roster.h"
#include "umbel/superlink/timers.h"

namespace umbel::superlink {

// A node as administrators and users see it.
struct NodeView {
  NodeRecord record;
  std::string status = "offline";  // online, draining, offline
  int64_t since_ms = 0;            // in this status; 0: since the hub's start
  std::string platform, software;
  uint64_t working = 0;  // instructions that it has
};

// The nodes that are connected, their sessions, and the instructions that are out.  Any thread.
class Fleet final : public NodeLines {
 public:
  struct Hooks {
    // The nodes that can be asked have changed.
    std::function<void()> nodes_changed;
    // A line of an app's log at a node.
    std::function<void(uint64_t node, const wire::NodeLog& line)> log;
  };
  struct Options {
    uint64_t epoch = 1;
    // How long what a node owes is waited for once it is away.
    std::chrono::duration<double> node_grace{60};
    // The same for one that was shut down in order: long enough to start again.
    std::chrono::duration<double> drained_grace{10};
    std::chrono::seconds handshake_timeout{10};
    std::chrono::seconds token_life_after_session{60};
  };
  Fleet(Roster& roster, AuditLog& audit, Timers& timers, Options options);
  ~Fleet() override;
  void set_hooks(Hooks hooks) { hooks_ = std::move(hooks); }  // before the first session

  // A WebSocket that a node opened.
  std::shared_ptr<http::SessionListener> open(std::shared_ptr<http::Session> session);
  // The node that has this token: on other connections of its.
  std::optional<uint64_t> owner(const std::string& token) const;
  // Unregistered: its session is cut, and what it owes has failed.
  void cut(const NodeRecord& node, const std::string& reason);

  std::vector<NodeView> view(std::string_view federation) const;
  // Numbers of those that can be asked now, in the order of registration.
  std::vector<uint64_t> ready(std::string_view federation) const;
  size_t connected() const;

  uint64_t next_instruction() { return next_instruction_++; }
  // Collections hear of nodes from add() to remove(); the instructions are theirs.
  void add(const std::shared_ptr<Collection>& collection, const std::vector<Ask>& asks);
  // After these messages of the collection are out: those to nodes that are not registered any
  // more, or have been away for the whole grace, fail at once, those to others that are away when
  // it ends.
  void watch(const std::shared_ptr<Collection>& collection, const std::vector<Ask>& asks);
  void remove(const std::shared_ptr<Collection>& collection);
  std::shared_ptr<Collection> collection_of(uint64_t instruction) const;
  void run_ended(RunId run, const std::vector<uint64_t>& nodes);

  bool send(uint64_t node, const wire::HubFrame& frame) override;
  void forget(uint64_t instruction) override;

  // Closes all sessions; nodes come back to the next hub.
  void stop();

 private:
  class NodeSession;
  struct Connected {
    std::shared_ptr<http::Session> session;
    uint64_t serial = 0;  // tells a session from the node's next one
    std::string token, platform, software;
    bool draining = false;
    int64_t since_ms = 0;
  };
  struct Instruction {
    uint64_t node;
    std::weak_ptr<Collection> collection;
  };
  void joined(const NodeRecord& node, const std::shared_ptr<http::Session>& session,
              uint64_t serial, const wire::Hello& hello);
  void left(uint64_t node, uint64_t serial, const Status& status);
  void draining(uint64_t node, uint64_t serial);
  void check_away(uint64_t node);
  std::chrono::duration<double> grace(bool drained) const;
  std::string away_reason() const;
  std::vector<std::shared_ptr<Collection>> collections() const;

  Roster& roster_;
  AuditLog& audit_;
  Timers& timers_;
  const Options options_;
  Hooks hooks_;
  std::atomic<uint64_t> next_instruction_;
  std::atomic<uint64_t> next_serial_{1};

  mutable absl::Mutex mutex_;
  std::map<uint64_t, Connected> connected_ ABSL_GUARDED_BY(mutex_);
  struct Away {
    std::chrono::steady_clock::time_point since;
    int64_t since_ms;
    bool drained = false;  // it went in order, after its last reply
  };
  std::map<uint64_t, Away> away_ ABSL_GUARDED_BY(mutex_);
  struct Token {
    uint64_t node;
    std::optional<std::chrono::steady_clock::time_point> end;
  };
  std::map<std::string, Token> tokens_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Instruction> instructions_ ABSL_GUARDED_BY(mutex_);
  std::map<Collection*, std::weak_ptr<Collection>> collections_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace umbel::superlink
