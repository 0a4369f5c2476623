#pragma once

#include <cstddef>

namespace umbel::bench {

// What this machine's memory gives to `threads` threads, in bytes a second; best of some tries.
struct Limits {
  double read;  // float streams read into registers, 16 at a time
  double copy;  // memcpy, bytes copied
};
Limits measure_limits(size_t threads);

}  // namespace umbel::bench
