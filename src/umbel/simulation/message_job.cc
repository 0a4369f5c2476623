#include "umbel/simulation/message_job.h"

#include <algorithm>

namespace umbel {

Status Mailbox::expect(std::span<const MessageId> ids) {
  absl::MutexLock lock(&mutex_);
  for (size_t i = 0; i != ids.size(); ++i) {
    if (ids[i] != MessageId() && awaited_.insert(ids[i]).second) continue;
    for (const MessageId taken_back : ids.first(i)) awaited_.erase(taken_back);
    return invalid_argument(
        "message {} of the push has the id {}, which is {}: make each message with make_message()",
        i, ids[i].value(), ids[i] == MessageId() ? "nobody's" : "another message's");
  }
  return absl::OkStatus();
}

void Mailbox::put(Message reply) {
  absl::MutexLock lock(&mutex_);
  const MessageId id = reply.metadata().reply_to;
  if (awaited_.contains(id)) replies_.insert_or_assign(id, std::move(reply));
}

std::vector<Message> Mailbox::take(std::span<const MessageId> ids, absl::Time until) {
  absl::MutexLock lock(&mutex_);
  // What is there stays there, so each look goes on where the last one ended.
  size_t there = 0;
  auto all_there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    while (there != ids.size() && (replies_.contains(ids[there]) || !awaited_.contains(ids[there])))
      ++there;
    return closed_ || there == ids.size();
  };
  mutex_.AwaitWithDeadline(absl::Condition(&all_there), until);
  std::vector<Message> taken;
  for (const MessageId id : ids) {
    const auto found = replies_.find(id);
    if (found == replies_.end()) continue;
    taken.push_back(std::move(found->second));
    replies_.erase(found);
    awaited_.erase(id);
  }
  return taken;
}

void Mailbox::forget(std::span<const MessageId> ids) {
  absl::MutexLock lock(&mutex_);
  for (const MessageId id : ids) {
    awaited_.erase(id);
    replies_.erase(id);
  }
}

size_t Mailbox::outstanding() const {
  absl::MutexLock lock(&mutex_);
  return awaited_.size();
}

bool Mailbox::awaits_any(std::span<const MessageId> ids) const {
  absl::MutexLock lock(&mutex_);
  return std::ranges::any_of(
      ids, [this](MessageId id) ABSL_NO_THREAD_SAFETY_ANALYSIS { return awaited_.contains(id); });
}

void Mailbox::close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

MessageJob::MessageJob(VirtualClients& clients, Mailbox& mailbox, std::vector<Message> messages,
                       std::vector<MessageId> ids)
    : clients_(clients), mailbox_(mailbox), messages_(std::move(messages)), ids_(std::move(ids)) {
  const auto client = [](const Message& m) { return m.metadata().destination; };
  std::ranges::stable_sort(messages_, {}, client);
  for (size_t i = 0; i != messages_.size(); ++i) {
    if (i == 0 || client(messages_[i]) != client(messages_[i - 1])) starts_.push_back(i);
  }
  starts_.push_back(messages_.size());
}

bool MessageJob::run(size_t) {
  for (size_t c = next_.fetch_add(1); c + 1 < starts_.size(); c = next_.fetch_add(1)) {
    for (size_t i = starts_[c]; i != starts_[c + 1] && !cancelled_; ++i) {
      mailbox_.put(clients_.handle(messages_[i]));
    }
  }
  return true;
}

void MessageJob::cancel() {
  cancelled_ = true;
  next_ = starts_.size();
}

}  // namespace umbel
