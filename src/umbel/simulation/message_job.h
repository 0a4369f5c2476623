#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <exception>
#include <functional>
#include <unordered_map>
#include <vector>

#include "umbel/app/mailbox.h"
#include "umbel/simulation/virtual_clients.h"
#include "umbel/simulation/worker_pool.h"

namespace umbel {

// Messages that were pushed together: each thread takes the next client and puts its replies in the
// box.  What one client is sent it handles one after the other, in the order of the push.
class MessageJob final : public WorkerPool::Job {
 public:
  // `failed` is called if no client can be served any more; from any thread.
  MessageJob(VirtualClients& clients, Mailbox& mailbox, std::vector<Message> messages,
             std::vector<MessageId> ids, std::function<void(std::exception_ptr)> failed);
  bool run(size_t lane) override;
  bool has_work() const override { return next_ + 1 < starts_.size(); }
  const std::vector<MessageId>& ids() const { return ids_; }
  // No further message is handled, and nobody waits for those that are.
  void cancel();

 private:
  void handle(const Message& message);

  VirtualClients& clients_;
  Mailbox& mailbox_;
  std::vector<Message> messages_;  // by client
  std::vector<MessageId> ids_;
  std::vector<size_t> starts_;  // of each client's messages, and the end
  std::atomic<size_t> next_{0};
  std::atomic<bool> cancelled_{false};
  const std::function<void(std::exception_ptr)> failed_;
  absl::Mutex mutex_;
  std::unordered_map<MessageId, Metadata> running_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace umbel
