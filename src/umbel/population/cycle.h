#pragma once

#include <cstdint>
#include <optional>

#include "umbel/population/virtual_time.h"

namespace umbel {

// A client's windows: one opens each `length`, and the client comes to a `share` of them, drawn for
// each of them alone.  Where one window closes as the next opens, a client that comes to both
// stays.
struct Cycle {
  VirtualTime length{};
  VirtualTime window{};  // how long one is open: above 0, at most `length`
  VirtualTime offset{};  // at time 0, since window 0 opened; not negative
  double share = 1;
  // Of the draws: derive_seed(seed, {client, purpose, window's number}).
  uint64_t seed = 0, client = 0, purpose = 0;

  bool there(VirtualTime now) const;
  // For who is there at `now`: the end of the stay, VirtualTime::max() if it has none.  An end
  // after `horizon` is not looked for: what is returned then is after the horizon, too.  Cost: a
  // draw for each window up to there.
  VirtualTime stays_until(VirtualTime now, VirtualTime horizon) const;
  // The first time from `now` to `horizon`, both included, at which the client is there.  Cost: a
  // draw for each window up to there.
  std::optional<VirtualTime> next(VirtualTime now, VirtualTime horizon) const;

 private:
  bool comes(int64_t number) const;
};

}  // namespace umbel
