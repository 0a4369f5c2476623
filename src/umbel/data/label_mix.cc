#include "umbel/data/label_mix.h"

#include <algorithm>

namespace umbel::data {

namespace {

constexpr uint64_t kMixStream = 1;
constexpr size_t kCountMax = 32;  // up to here counting without branches beats a search

}  // namespace

Shares label_mix(uint64_t seed, uint64_t client, double alpha, size_t labels) {
  Shares shares(labels);
  Rng rng(derive_seed(seed, {kMixStream, client}));
  rng.dirichlet(alpha, std::span(shares.data(), shares.size()));
  return shares;
}

WeightedDraw::WeightedDraw(std::span<const double> weights)
    : cumulative_(weights.begin(), weights.end()) {
  double sum = 0;
  for (size_t i = 0; i != cumulative_.size(); ++i) {
    if (cumulative_[i] > 0) last_ = i;
    cumulative_[i] = sum += cumulative_[i];
  }
}

size_t WeightedDraw::operator()(Rng& rng) const {
  const double at = rng.uniform() * cumulative_.back();
  size_t index = 0;
  if (cumulative_.size() <= kCountMax) {
    for (const double bound : cumulative_) index += bound <= at;
  } else {
    index = static_cast<size_t>(std::upper_bound(cumulative_.begin(), cumulative_.end(), at) -
                                cumulative_.begin());
  }
  return std::min(index, last_);
}

}  // namespace umbel::data
