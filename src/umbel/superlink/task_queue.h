#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <deque>
#include <functional>
#include <thread>

namespace umbel::superlink {

// Runs calls one after another on a thread of its own.
class TaskQueue {
 public:
  TaskQueue() : thread_([this] { run(); }) {}
  ~TaskQueue() { stop(); }

  // False, and the call is dropped, once it was stopped.  Any thread.
  bool post(std::function<void()> call) {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return false;
    calls_.push_back(std::move(call));
    return true;
  }
  // What has not begun is dropped; waits for the call that is being made.
  void stop() {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
      calls_.clear();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run() {
    while (true) {
      std::function<void()> call;
      {
        absl::MutexLock lock(&mutex_);
        mutex_.Await(absl::Condition(
            +[](TaskQueue* self) ABSL_NO_THREAD_SAFETY_ANALYSIS {
              return self->stopping_ || !self->calls_.empty();
            },
            this));
        if (stopping_) return;
        call = std::move(calls_.front());
        calls_.pop_front();
      }
      call();
    }
  }

  absl::Mutex mutex_;
  std::deque<std::function<void()>> calls_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace umbel::superlink
