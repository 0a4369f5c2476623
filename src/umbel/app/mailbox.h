#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "umbel/app/grid.h"

namespace umbel {

inline constexpr size_t kMessagesMax = 100'000;  // pushed and not yet pulled

// Replies that nobody has pulled yet.  Any threads.
class Mailbox {
 public:
  // These messages are sent: their replies will be asked for.  None of them is expected after
  // INVALID_ARGUMENT, for an id that is 0 or stands for two messages, or RESOURCE_EXHAUSTED.
  Status expect(std::span<const MessageId> ids);
  // Dropped if nobody expects it (any longer).
  void put(Message reply);
  // Those of `ids` that are there, once all that are expected are or the time is up; they are then
  // gone.
  std::vector<Message> take(std::span<const MessageId> ids, absl::Time until);
  // Nobody will ask for these any more.
  void forget(std::span<const MessageId> ids);
  bool awaits_any(std::span<const MessageId> ids) const;
  // Makes every take(), now and later, return at once.
  void close();

 private:
  mutable absl::Mutex mutex_;
  std::unordered_map<MessageId, Message> replies_ ABSL_GUARDED_BY(mutex_);
  std::unordered_set<MessageId> awaited_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

// The moment that a deadline is over.
absl::Time time_limit(const Deadline& deadline);

}  // namespace umbel
