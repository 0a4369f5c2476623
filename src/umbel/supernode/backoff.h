#pragma once

#include <chrono>
#include <cstdint>

#include "umbel/base/rng.h"

namespace umbel::supernode {

// How long to wait before the next try to reach a hub: 0.1 s, doubled with each try, each time a
// random share from half to all of it, so that the nodes of a hub that was restarted do not come
// all at once.  At most 3 s within the first minute (all are back within 10 s of a short restart),
// 30 s later.
class Backoff {
 public:
  using Duration = std::chrono::milliseconds;
  static constexpr Duration kFirst{100}, kSoonMax{3'000}, kMax{30'000}, kSoon{60'000};

  explicit Backoff(uint64_t seed) : rng_(seed) {}
  // The wait before the next try, when all has been in vain for `since`.
  Duration next(Duration since);
  void reset() { tries_ = 0; }

 private:
  Rng rng_;
  int tries_ = 0;
};

}  // namespace umbel::supernode
