#include "umbel/simulation/message_job.h"

#include <algorithm>

namespace umbel {

MessageJob::MessageJob(VirtualClients& clients, Mailbox& mailbox, std::vector<Message> messages,
                       std::vector<MessageId> ids, std::function<void(std::exception_ptr)> failed)
    : clients_(clients),
      mailbox_(mailbox),
      messages_(std::move(messages)),
      ids_(std::move(ids)),
      failed_(std::move(failed)) {
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
      handle(messages_[i]);
    }
  }
  return true;
}

void MessageJob::handle(const Message& message) {
  const Metadata& metadata = message.metadata();
  {
    absl::MutexLock lock(&mutex_);
    running_.emplace(metadata.id, metadata);
  }
  try {
    mailbox_.put(clients_.handle(message));
  } catch (...) {
    failed_(std::current_exception());
  }
  absl::MutexLock lock(&mutex_);
  running_.erase(metadata.id);
}

void MessageJob::cancel() {
  cancelled_ = true;
  next_ = starts_.size();
  std::unordered_map<MessageId, Metadata> running;
  {
    absl::MutexLock lock(&mutex_);
    running = running_;
  }
  for (const auto& [id, metadata] : running) clients_.handler().give_up(metadata);
}

}  // namespace umbel
