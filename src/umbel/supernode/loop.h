#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>

namespace umbel::supernode {

// Calls from any thread, carried out one after another by the one thread that is in run(): what
// only they touch needs no lock.
class Loop {
 public:
  using Call = std::function<void()>;
  using Clock = std::chrono::steady_clock;

  void post(Call call);
  void after(Clock::duration delay, Call call);

  // Until stop() was called; calls that wait then are dropped.
  void run();
  void stop();

 private:
  Call next();

  absl::Mutex mutex_;
  std::deque<Call> calls_ ABSL_GUARDED_BY(mutex_);
  std::multimap<Clock::time_point, Call> later_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::CondVar changed_;
};

}  // namespace umbel::supernode
