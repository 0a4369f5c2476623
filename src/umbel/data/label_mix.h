#pragma once

#include <absl/container/inlined_vector.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "umbel/base/rng.h"

namespace umbel::data {

using Shares = absl::InlinedVector<double, 32>;

// The shares of the labels that a client of this seed has: a point of the symmetric Dirichlet
// distribution with parameter `alpha` for each of `labels` labels.  It depends on nothing else, so
// it is the same in whatever partition the client appears.
Shares label_mix(uint64_t seed, uint64_t client, double alpha, size_t labels);

// Draws an index with a probability in proportion to its weight.  Weights are at least 0 and their
// sum is above 0; an index of weight 0 is never drawn.
class WeightedDraw {
 public:
  explicit WeightedDraw(std::span<const double> weights);
  // O(log n); a plain count for few weights.
  size_t operator()(Rng& rng) const;

 private:
  Shares cumulative_;
  size_t last_ = 0;  // the last index of a weight above 0
};

}  // namespace umbel::data
