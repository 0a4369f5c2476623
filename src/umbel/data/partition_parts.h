#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "umbel/base/rng.h"
#include "umbel/data/label_mix.h"
#include "umbel/data/label_pools.h"
#include "umbel/data/partition_scheme.h"

namespace umbel::data {

// What the partitions in which every example belongs to one client are made of.

// Where part `index` of `parts` nearly equal ones begins: the first n % parts have one more.
inline uint64_t start_of(uint64_t n, uint64_t parts, uint64_t index) {
  return n / parts * index + std::min(index, n % parts);
}
std::vector<uint32_t> equal_starts(uint64_t n, uint64_t clients);

// 0 to n - 1 in random order.
std::vector<uint32_t> shuffled(uint64_t n, Rng& rng);

// Client c holds order[starts[c]] up to order[starts[c + 1]].
Partition shared_out(std::vector<uint32_t> order, std::vector<uint32_t> starts);
// The same, or an error that names the first client with fewer examples than examples_min.
Result<Partition> shared_out(std::vector<uint32_t> order, std::vector<uint32_t> starts,
                             uint64_t examples_min);

// What is left of each label's shuffled pool while clients take from it.
class Remainder {
 public:
  Remainder(LabelPools pools, Rng& rng);
  // Fills `out` by the mix, as the comment on dirichlet() says.
  void take(Shares mix, Rng& rng, std::span<uint32_t> out);

 private:
  size_t left(size_t label) const { return pools_.size(label) - taken_[label]; }
  WeightedDraw without_empty(Shares& mix) const;

  LabelPools pools_;
  std::vector<size_t> taken_;
};

// order[starts[c]] up to order[starts[c + 1]] of each client c, taken by its mix, the clients in
// random order.
std::vector<uint32_t> taken_by_mix(LabelPools pools, const std::vector<uint32_t>& starts,
                                   double alpha, uint64_t seed, Rng& rng);

}  // namespace umbel::data
