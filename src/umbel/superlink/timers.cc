#include "umbel/superlink/timers.h"

#include <algorithm>

namespace umbel::superlink {

namespace {

// Waiting far beyond this could overflow a clock's arithmetic.
constexpr std::chrono::hours kDelayMax{24 * 365};

}  // namespace

Timers::Timers() : thread_([this] { run(); }) {}

Timers::~Timers() { stop(); }

void Timers::stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.Signal();
  }
  if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id()) thread_.join();
}

uint64_t Timers::at(Clock::time_point time, std::function<void()> call) {
  absl::MutexLock lock(&mutex_);
  const uint64_t number = next_++;
  calls_.emplace(std::pair(time, number), std::move(call));
  times_.emplace(number, time);
  changed_.Signal();
  return number;
}

uint64_t Timers::after(std::chrono::duration<double> delay, std::function<void()> call) {
  const std::chrono::duration<double> most = kDelayMax;
  const double seconds = std::clamp(delay.count(), 0.0, most.count());
  return at(Clock::now() +
                std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds)),
            std::move(call));
}

void Timers::cancel(uint64_t timer) {
  absl::MutexLock lock(&mutex_);
  const auto found = times_.find(timer);
  if (found == times_.end()) return;
  calls_.erase({found->second, timer});
  times_.erase(found);
}

void Timers::run() {
  absl::MutexLock lock(&mutex_);
  while (!stopping_) {
    if (calls_.empty()) {
      changed_.Wait(&mutex_);
      continue;
    }
    const auto [time, number] = calls_.begin()->first;
    const auto now = Clock::now();
    if (time > now) {
      const auto wait = std::chrono::duration_cast<std::chrono::nanoseconds>(time - now).count();
      changed_.WaitWithTimeout(&mutex_, absl::Nanoseconds(wait));
      continue;
    }
    const std::function<void()> call = std::move(calls_.begin()->second);
    calls_.erase(calls_.begin());
    times_.erase(number);
    mutex_.Unlock();
    call();
    mutex_.Lock();
  }
}

}  // namespace umbel::superlink
