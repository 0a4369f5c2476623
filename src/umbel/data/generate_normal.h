#pragma once

#include <cstdint>

#include "umbel/base/rng.h"

namespace umbel::data {

// A nearly normal number: the sum of twelve uniform ones (Irwin and Hall), of mean 0, variance
// 1 - 2^-32, within -6 to 6, with an excess kurtosis of -0.1.  Unlike Rng::normal(), which takes a
// logarithm and a cosine, it is exact, and so the same with every mathematical library.
inline double near_normal(Rng& rng) {
  int64_t sum = -6 * 65535;
  for (int draw = 0; draw != 3; ++draw) {
    for (uint64_t bits = rng.bits(), part = 0; part != 4; ++part, bits >>= 16) {
      sum += static_cast<int64_t>(bits & 0xffff);
    }
  }
  return static_cast<double>(sum) * 0x1p-16;
}

}  // namespace umbel::data
