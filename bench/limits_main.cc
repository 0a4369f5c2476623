#include <fmt/core.h>

#include <algorithm>

#include "bench/limits.h"
#include "bench/measure.h"
#include "umbel/base/parallel.h"

// The machine's own constants, for the floors of other figures.
int main() {
  using namespace umbel::bench;
  const size_t most = umbel::available_processors();
  for (size_t threads = 1; threads <= std::min<size_t>(most, 2); ++threads) {
    const Limits limits = measure_limits(threads);
    const auto what = [&](const char* name) {
      return fmt::format("{}, {} thread(s)", name, threads);
    };
    print({.id = "limits",
           .what = what("read"),
           .ours = limits.read / 1e9,
           .unit = "GB/s",
           .runs = 7});
    print({.id = "limits",
           .what = what("copy"),
           .ours = limits.copy / 1e9,
           .unit = "GB/s",
           .runs = 7});
  }
}
