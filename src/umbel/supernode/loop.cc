#include "umbel/supernode/loop.h"

#include <absl/time/time.h>

#include <utility>

namespace umbel::supernode {

void Loop::post(Call call) {
  absl::MutexLock lock(&mutex_);
  calls_.push_back(std::move(call));
  changed_.Signal();
}

void Loop::after(Clock::duration delay, Call call) {
  absl::MutexLock lock(&mutex_);
  later_.emplace(Clock::now() + delay, std::move(call));
  changed_.Signal();
}

// The next call; empty once stopped.
Loop::Call Loop::next() {
  absl::MutexLock lock(&mutex_);
  for (;;) {
    if (stopped_) {
      calls_.clear();
      later_.clear();
      return {};
    }
    const auto now = Clock::now();
    if (const auto first = later_.begin(); first != later_.end() && first->first <= now) {
      Call call = std::move(first->second);
      later_.erase(first);
      return call;
    }
    if (!calls_.empty()) {
      Call call = std::move(calls_.front());
      calls_.pop_front();
      return call;
    }
    if (later_.empty()) {
      changed_.Wait(&mutex_);
    } else {
      changed_.WaitWithTimeout(&mutex_, absl::FromChrono(later_.begin()->first - now));
    }
  }
}

void Loop::run() {
  while (Call call = next()) call();
}

void Loop::stop() {
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
  changed_.Signal();
}

}  // namespace umbel::supernode
