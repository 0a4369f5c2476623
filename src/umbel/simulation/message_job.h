#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "umbel/app/grid.h"
#include "umbel/simulation/virtual_clients.h"
#include "umbel/simulation/worker_pool.h"

namespace umbel {

// Replies that nobody has pulled yet.  Any threads.
class Mailbox {
 public:
  // These messages are sent: their replies will be asked for.  INVALID_ARGUMENT, and none of them
  // is expected, if an id is 0 or stands for two messages.
  Status expect(std::span<const MessageId> ids);
  // Dropped if nobody expects it (any longer).
  void put(Message reply);
  // Those of `ids` that are there, once all that are expected are or the time is up; they are then
  // gone.
  std::vector<Message> take(std::span<const MessageId> ids, absl::Time until);
  // Nobody will ask for these any more.
  void forget(std::span<const MessageId> ids);
  // Messages expected and not yet taken.
  size_t outstanding() const;
  bool awaits_any(std::span<const MessageId> ids) const;
  // Makes every take(), now and later, return at once.
  void close();

 private:
  mutable absl::Mutex mutex_;
  std::unordered_map<MessageId, Message> replies_ ABSL_GUARDED_BY(mutex_);
  std::unordered_set<MessageId> awaited_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

// Messages that were pushed together: each thread takes the next client and puts its replies in the
// box.  What one client is sent it handles one after the other, in the order of the push.
class MessageJob final : public WorkerPool::Job {
 public:
  MessageJob(VirtualClients& clients, Mailbox& mailbox, std::vector<Message> messages,
             std::vector<MessageId> ids);
  bool run(size_t lane) override;
  bool has_work() const override { return next_ + 1 < starts_.size(); }
  const std::vector<MessageId>& ids() const { return ids_; }
  // No further message is handled.
  void cancel();

 private:
  VirtualClients& clients_;
  Mailbox& mailbox_;
  std::vector<Message> messages_;  // by client
  std::vector<MessageId> ids_;
  std::vector<size_t> starts_;  // of each client's messages, and the end
  std::atomic<size_t> next_{0};
  std::atomic<bool> cancelled_{false};
};

}  // namespace umbel
