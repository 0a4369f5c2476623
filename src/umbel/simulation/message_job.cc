#include "umbel/simulation/message_job.h"

#include <algorithm>

namespace umbel {

void Mailbox::put(Message reply) {
  absl::MutexLock lock(&mutex_);
  const MessageId id = reply.metadata().reply_to;
  replies_.insert_or_assign(id, std::move(reply));
}

std::vector<Message> Mailbox::take(std::span<const MessageId> ids, absl::Time until) {
  absl::MutexLock lock(&mutex_);
  auto all_there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closed_ || std::ranges::all_of(ids, [&](MessageId id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
             return replies_.contains(id);
           });
  };
  mutex_.AwaitWithDeadline(absl::Condition(&all_there), until);
  std::vector<Message> taken;
  for (const MessageId id : ids) {
    const auto found = replies_.find(id);
    if (found == replies_.end()) continue;
    taken.push_back(std::move(found->second));
    replies_.erase(found);
    --outstanding_;
  }
  return taken;
}

void Mailbox::expect(size_t messages) {
  absl::MutexLock lock(&mutex_);
  outstanding_ += messages;
}

size_t Mailbox::outstanding() const {
  absl::MutexLock lock(&mutex_);
  return outstanding_;
}

void Mailbox::close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

void MessageJob::run(size_t) {
  for (size_t i = next_.fetch_add(1); i < messages_.size(); i = next_.fetch_add(1)) {
    mailbox_.put(clients_.handle(messages_[i]));
  }
}

}  // namespace umbel
