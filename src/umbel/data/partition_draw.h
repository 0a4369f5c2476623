#pragma once

#include <cstdint>
#include <vector>

#include "umbel/base/rng.h"
#include "umbel/data/label_mix.h"
#include "umbel/data/label_pools.h"

namespace umbel::data {

// What the partitions whose clients are drawn, one at a time, are made of; each purpose has a
// stream of its own of the client's random numbers.

// The random numbers of a client's draw; those of its mix of labels and of its size are others.
inline Rng client_rng(uint64_t seed, uint64_t client) {
  constexpr uint64_t kDrawStream = 2;  // label_mix() has stream 1
  return Rng(derive_seed(seed, {kDrawStream, client}));
}

// The normal number that a client's size is made of.
inline double client_size_normal(uint64_t seed, uint64_t client) {
  constexpr uint64_t kSizeStream = 3;
  return Rng(derive_seed(seed, {kSizeStream, client})).normal();
}

// The random numbers that put a client's examples in order where its draw did not.
inline Rng order_rng(uint64_t seed, uint64_t client) {
  constexpr uint64_t kOrderStream = 4;
  return Rng(derive_seed(seed, {kOrderStream, client}));
}

// Replaces `out` by `size` examples drawn independently by the mix, in random order: different ones
// while each label lasts.
void draw_by_mix(const LabelPools& pools, const Shares& mix, uint64_t size, Rng& rng,
                 std::vector<uint32_t>& out);

}  // namespace umbel::data
