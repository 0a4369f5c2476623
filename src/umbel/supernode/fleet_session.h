#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "umbel/base/keys.h"
#include "umbel/http/client.h"
#include "umbel/supernode/backoff.h"
#include "umbel/supernode/loop.h"
#include "umbel/wire/fleet.h"

namespace umbel::supernode {

// Who is told what comes over the session.  Called on the loop's thread.
class FleetListener {
 public:
  virtual ~FleetListener() = default;
  // What Hello is to list.
  virtual std::vector<uint64_t> holding() = 0;
  // The session is open; Hello listed `held`.
  virtual void connected(const wire::Welcome& welcome, const std::vector<uint64_t>& held) = 0;
  virtual void received(wire::HubFrame frame) = 0;
  // Of an open session; another try follows, unless stop() was called.
  virtual void disconnected(const Status& reason) = 0;
  // There is no session, for this reason; told when it changes.  `final`: trying again will hardly
  // help (the key is not registered, the certificate not trusted); it is tried all the same.
  virtual void failed(const Status& reason, bool final) = 0;
};

// A node's one session with its hub: connects, proves who the node is (docs/protocol.md), and
// connects again whenever it has ended (Backoff; after a refusal, 2 s in the first minute,
// half a minute later).  On the loop's
// thread, but for the constructor.  The loop must outlive it, and not run when it goes.
class FleetSession {
 public:
  struct Options {
    http::Endpoint hub;
    std::string software;
    std::string platform;
    uint64_t seed = 0;  // of the waits between tries
  };
  FleetSession(Options options, const PrivateKey& key, Loop& loop, FleetListener& listener);
  ~FleetSession();

  void start();
  bool is_open() const { return stage_ == Stage::kOpen; }
  // False if no session is open: what matters is sent again after the next welcome.
  bool send(const wire::NodeFrame& frame);
  // Closes, and connects no more.
  void stop(const std::string& reason);

 private:
  class Connection;
  enum class Stage { kIdle, kOpening, kHello, kProof, kOpen, kStopped };

  void connect();
  void opened(std::shared_ptr<http::Session> session);
  void received(Result<wire::HubFrame> frame);
  void closed(const Status& status);
  void challenged(const wire::Challenge& challenge);
  void welcomed(const wire::Welcome& welcome);
  void refused(const wire::Refusal& refusal);
  void give_up(const std::string& reason);
  void retry_in(std::chrono::milliseconds wait);

  const Options options_;
  const PrivateKey& key_;
  Loop& loop_;
  FleetListener& listener_;
  Backoff backoff_;
  Stage stage_ = Stage::kIdle;
  uint64_t attempt_ = 0;  // calls about earlier connections are ignored
  std::shared_ptr<http::Session> session_;
  std::string nonce_;
  std::vector<uint64_t> held_;
  Loop::Clock::time_point lost_at_;    // when there last was a session
  Loop::Clock::time_point opened_at_;  // when the one that there is began
  std::optional<Status> refusal_;
  std::string last_failure_;
  http::SessionClient client_;  // last: its threads end before the rest goes
};

}  // namespace umbel::supernode
