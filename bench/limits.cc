#include "bench/limits.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "bench/measure.h"
#include "umbel/base/parallel.h"

namespace umbel::bench {

namespace {

constexpr size_t kStreams = 16;
constexpr size_t kFloats = size_t{4}
                           << 20;  // of each stream: 256 MiB in all, far beyond the caches
constexpr size_t kStagger = 80;    // floats; keeps the streams off the same cache sets
constexpr size_t kTries = 7;

double read_all(const std::vector<float>& memory, size_t threads, ThreadTeam& team) {
  std::vector<double> sums(threads);
  const double seconds = time_of([&] {
    team.for_each(threads, [&](size_t t) {
      const size_t first = kFloats / threads * t;
      const size_t last = first + kFloats / threads;
      float lanes[16] = {};
      for (size_t i = first; i + 16 <= last; i += 16) {
        for (size_t s = 0; s != kStreams; ++s) {
          const float* x = memory.data() + s * (kFloats + kStagger) + i;
          for (size_t lane = 0; lane != 16; ++lane) lanes[lane] += x[lane];
        }
      }
      for (const float lane : lanes) sums[t] += lane;
    });
  });
  volatile double keep = sums[0];
  (void)keep;
  return static_cast<double>(kStreams * kFloats * sizeof(float)) / seconds;
}

}  // namespace

Limits measure_limits(size_t threads) {
  ThreadTeam team(threads);
  std::vector<float> memory(kStreams * (kFloats + kStagger), 1.0f);
  std::vector<float> target(kStreams * kFloats, 0.0f);
  Limits best{0, 0};
  for (size_t attempt = 0; attempt != kTries; ++attempt) {
    best.read = std::max(best.read, read_all(memory, threads, team));
    const size_t piece = target.size() / threads;
    const double copy = time_of([&] {
      team.for_each(threads, [&](size_t t) {
        std::memcpy(target.data() + t * piece, memory.data() + t * piece, piece * sizeof(float));
      });
    });
    best.copy = std::max(best.copy, static_cast<double>(target.size() * sizeof(float)) / copy);
  }
  return best;
}

}  // namespace umbel::bench
