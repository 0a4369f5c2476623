#include "umbel/app/mailbox.h"

#include <absl/time/clock.h>

#include <algorithm>

namespace umbel {

Status Mailbox::expect(std::span<const MessageId> ids) {
  absl::MutexLock lock(&mutex_);
  if (awaited_.size() + ids.size() > kMessagesMax) {
    return resource_exhausted(
        "{} messages are under way and {} more were pushed; the limit is {}: pull replies first",
        awaited_.size(), ids.size(), kMessagesMax);
  }
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

bool Mailbox::awaits_any(std::span<const MessageId> ids) const {
  absl::MutexLock lock(&mutex_);
  return std::ranges::any_of(
      ids, [this](MessageId id) ABSL_NO_THREAD_SAFETY_ANALYSIS { return awaited_.contains(id); });
}

void Mailbox::close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

absl::Time time_limit(const Deadline& deadline) {
  return deadline ? absl::Now() + absl::Seconds(deadline->count()) : absl::InfiniteFuture();
}

}  // namespace umbel
