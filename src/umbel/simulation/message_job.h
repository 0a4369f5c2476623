#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <span>
#include <unordered_map>
#include <vector>

#include "umbel/app/grid.h"
#include "umbel/simulation/virtual_clients.h"
#include "umbel/simulation/worker_pool.h"

namespace umbel {

// Replies that nobody has pulled yet.  Any threads.
class Mailbox {
 public:
  void put(Message reply);
  // Those of `ids` that are there, once all are or the time is up; they are then gone.
  std::vector<Message> take(std::span<const MessageId> ids, absl::Time until);
  // Messages sent and not yet taken.
  void expect(size_t messages);
  size_t outstanding() const;
  // Makes every take(), now and later, return at once.
  void close();

 private:
  mutable absl::Mutex mutex_;
  std::unordered_map<MessageId, Message> replies_ ABSL_GUARDED_BY(mutex_);
  size_t outstanding_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

// Messages that were pushed one by one: each thread takes the next and puts its reply in the box.
class MessageJob final : public WorkerPool::Job {
 public:
  MessageJob(VirtualClients& clients, Mailbox& mailbox, std::vector<Message> messages)
      : clients_(clients), mailbox_(mailbox), messages_(std::move(messages)) {}
  void run(size_t lane) override;
  bool has_work() const override { return next_ < messages_.size(); }

 private:
  VirtualClients& clients_;
  Mailbox& mailbox_;
  std::vector<Message> messages_;
  std::atomic<size_t> next_{0};
};

}  // namespace umbel
