#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "umbel/base/rng.h"
#include "umbel/population/traits.h"

namespace umbel {

// What a draw asks of the clients that it takes.
struct DrawRule {
  uint64_t clients = 0;                  // how many
  std::optional<size_t> attribute = {};  // with it, so many of each of its categories,
  std::vector<uint64_t> quotas = {};     // which sum to `clients`
  // How likely a client is taken, beside one of ratio 1: 0 to 1; empty: all alike.
  std::function<double(uint64_t)> ratio = {};
};

// Draws clients without replacement, one after another, each time among those who are available,
// whose category still has room, and who are not drawn yet, in proportion to their ratios.  Draws
// from everybody and rejects who does not fit, so that the cost is the cohort's divided by the
// share that fits.  After as many tries as there are clients (at most kTriesMax) it looks at
// everybody instead; beyond kTriesMax clients it makes do with whom it found.  So fewer clients
// than asked for mean that there are no more, or next to none.  Ascending.  INVALID_ARGUMENT for a
// ratio that is not 0 to 1.
Result<std::vector<uint64_t>> draw_by(const DrawRule& rule, const Pool& pool, Rng rng);

inline constexpr uint64_t kTriesMax = 1 << 22;

// Whole numbers that sum to `whole` and whose means are shares[i] * whole, whose sum is `whole`:
// each is its mean rounded down or up, by chance.
std::vector<uint64_t> apportion(uint64_t whole, const std::vector<double>& shares, Rng rng);

}  // namespace umbel
