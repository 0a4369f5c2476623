#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>

namespace umbel {

// Time as a simulated federation would have lived it, since the run began.  Whole microseconds, so
// that sums do not depend on their order.
using VirtualTime = std::chrono::microseconds;

inline constexpr double kVirtualSecondsMax = 1e10;  // 317 years; longer times are cut to it

// Rounded to the nearest microsecond; 0 for what is negative or NaN.
inline VirtualTime virtual_time(double seconds) {
  if (!(seconds > 0)) return VirtualTime::zero();
  return VirtualTime(std::llround(std::fmin(seconds, kVirtualSecondsMax) * 1e6));
}
inline constexpr VirtualTime kVirtualTimeMax(int64_t{10'000'000'000'000'000});
inline double seconds_of(VirtualTime time) { return static_cast<double>(time.count()) / 1e6; }

}  // namespace umbel
