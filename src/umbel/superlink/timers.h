#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <thread>

namespace umbel::superlink {

// Calls functions at their time, one after another, on a thread of its own.  They must not block.
class Timers {
 public:
  using Clock = std::chrono::steady_clock;
  Timers();
  ~Timers();  // what is due later is not called any more

  // Returns the timer's number, for cancel().  Any thread.
  uint64_t at(Clock::time_point time, std::function<void()> call);
  uint64_t after(std::chrono::duration<double> delay, std::function<void()> call);
  void cancel(uint64_t timer);  // that was called already, or is being called: nothing
  void stop();

 private:
  void run();

  absl::Mutex mutex_;
  absl::CondVar changed_;
  std::map<std::pair<Clock::time_point, uint64_t>, std::function<void()>> calls_
      ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Clock::time_point> times_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace umbel::superlink
