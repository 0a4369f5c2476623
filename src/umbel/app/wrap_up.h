#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>

namespace umbel {

// When an action that is being carried out is asked to come to an end, and how long it has then.
// Any threads.
class WrapUp {
 public:
  using Clock = std::chrono::steady_clock;

  WrapUp() = default;
  // Asked from a moment on, until another when the reply is of no use any more.
  WrapUp(Clock::time_point from, Clock::time_point until) { ask(from, until); }
  void ask(Clock::time_point from, Clock::time_point until) {
    until_ = until.time_since_epoch().count();
    from_ = from.time_since_epoch().count();
  }

  // From when on it is asked for, and until when, as far as is known by now.
  struct Times {
    Clock::time_point from, until;
  };
  std::optional<Times> times() const {
    const Clock::rep from = from_;
    if (from == std::numeric_limits<Clock::rep>::max()) return std::nullopt;
    return Times{Clock::time_point(Clock::duration(from)),
                 Clock::time_point(Clock::duration(until_))};
  }

  bool asked() const { return Clock::now().time_since_epoch().count() >= from_; }
  // Until the reply is too late, not below 0; nothing before asked().
  std::optional<std::chrono::duration<double>> time_left() const {
    if (!asked()) return std::nullopt;
    const Clock::duration left = Clock::duration(until_) - Clock::now().time_since_epoch();
    return left > Clock::duration::zero() ? left : Clock::duration::zero();
  }

 private:
  std::atomic<Clock::rep> from_{std::numeric_limits<Clock::rep>::max()};
  std::atomic<Clock::rep> until_{std::numeric_limits<Clock::rep>::max()};
};

}  // namespace umbel
