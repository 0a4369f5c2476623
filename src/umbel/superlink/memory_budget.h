#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include "umbel/superlink/task_queue.h"

namespace umbel::superlink {

// How much memory replies may take that are kept as a whole until they are complete.  Any thread.
class MemoryBudget {
 public:
  explicit MemoryBudget(uint64_t most) : most_(most) {}

  uint64_t most() const { return most_; }
  uint64_t used() const {
    absl::MutexLock lock(&mutex_);
    return used_;
  }
  // Takes the bytes if they are there.
  bool try_take(uint64_t bytes) {
    absl::MutexLock lock(&mutex_);
    if (!waiting_.empty() || bytes > most_ - used_) return false;
    used_ += bytes;
    return true;
  }
  // Takes them now or as soon as they are there, first come first served; then calls `taken`.
  // Requires bytes <= most().
  void take_when_free(uint64_t bytes, std::function<void()> taken) {
    {
      absl::MutexLock lock(&mutex_);
      if (!waiting_.empty() || bytes > most_ - used_) {
        waiting_.emplace_back(bytes, std::move(taken));
        return;
      }
      used_ += bytes;
    }
    taken();
  }
  void give_back(uint64_t bytes) {
    std::deque<std::function<void()>> served;
    {
      absl::MutexLock lock(&mutex_);
      used_ -= bytes;
      while (!waiting_.empty() && waiting_.front().first <= most_ - used_) {
        used_ += waiting_.front().first;
        served.push_back(std::move(waiting_.front().second));
        waiting_.pop_front();
      }
    }
    // Not here: whoever gives back holds what the next may need.
    for (auto& call : served) calls_.post(std::move(call));
  }

 private:
  const uint64_t most_;
  mutable absl::Mutex mutex_;
  uint64_t used_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<std::pair<uint64_t, std::function<void()>>> waiting_ ABSL_GUARDED_BY(mutex_);
  TaskQueue calls_;
};

}  // namespace umbel::superlink
