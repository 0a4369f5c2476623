#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "umbel/base/status.h"
#include "umbel/http/client.h"
#include "umbel/supernode/backoff.h"

namespace umbel::supernode {

// The token of the session that is open, if one is.  Any threads.
class Token {
 public:
  void set(std::string token);
  std::string get() const;
  // Waits until there is a token, `cancelled` is set, or `patience` is over; "" then.
  std::string wait(const std::atomic<bool>& cancelled, std::chrono::seconds patience) const;
  // Waits for `duration`, or until `cancelled` is set.
  void pause(const std::atomic<bool>& cancelled, std::chrono::milliseconds duration) const;
  // Makes the waits look at their flags.
  void wake();

 private:
  mutable absl::Mutex mutex_;
  mutable absl::CondVar changed_;
  std::string token_ ABSL_GUARDED_BY(mutex_);
};

// One thread's connection, for jobs that are tried until they are done.
class Courier {
 public:
  Courier(http::Endpoint hub, const Token& token, uint64_t seed);

  // What one try came to.
  struct Try {
    Status status;
    bool progress = false;  // something was gained: the count of tries starts anew
  };
  using Attempt = std::function<Try(http::Client& client)>;
  // Calls `attempt` until it is OK, or what it met is not worth another try (NOT_FOUND and so on),
  // or as Transfers says.  CANCELLED once `cancelled` is set.
  Status carry(const std::atomic<bool>& cancelled, const Attempt& attempt);

  // Ends the call under way; `cancelled` has been set before.  Any thread.
  void interrupt();

 private:
  void renew(const std::string& token);

  const http::Endpoint hub_;
  const Token& token_;
  Backoff backoff_;
  std::string used_token_;
  absl::Mutex mutex_;
  std::unique_ptr<http::Client> client_;  // replaced under the mutex by its own thread alone
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace umbel::supernode
