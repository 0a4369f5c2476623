#include "umbel/supernode/backoff.h"

#include <algorithm>

namespace umbel::supernode {

Backoff::Duration Backoff::next(Duration since) {
  constexpr int kDoublingsMax = 16;
  const Duration most = since < kSoon ? kSoonMax : kMax;
  const Duration full = std::min(most, kFirst * (1 << std::min(tries_, kDoublingsMax)));
  ++tries_;
  return Duration(static_cast<int64_t>(full.count() * (0.5 + 0.5 * rng_.uniform())));
}

}  // namespace umbel::supernode
