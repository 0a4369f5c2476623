#include "umbel/data/distinct.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace umbel::data {

namespace {

using Offset = std::vector<uint32_t>::difference_type;

// All numbers, then the first steps of a shuffle: for a set of more than half of them.
void append_by_shuffle(Rng& rng, uint64_t below, uint64_t count, std::vector<uint32_t>& out) {
  const size_t start = out.size();
  out.resize(start + below);
  std::iota(out.begin() + static_cast<Offset>(start), out.end(), uint32_t{0});
  for (size_t i = 0; i != count; ++i) {
    std::swap(out[start + i], out[start + i + rng.below(below - i)]);
  }
  out.resize(start + count);
}

// Draws until enough different ones are there.  It treats all numbers alike, so every set is
// equally likely; at most half are taken, so a draw is new with probability 1/2 or more.
void append_by_draws(Rng& rng, uint64_t below, uint64_t count, std::vector<uint32_t>& out) {
  const size_t start = out.size();
  while (out.size() != start + count) {
    while (out.size() != start + count) out.push_back(static_cast<uint32_t>(rng.below(below)));
    const auto first = out.begin() + static_cast<Offset>(start);
    std::sort(first, out.end());
    out.erase(std::unique(first, out.end()), out.end());
  }
}

}  // namespace

void append_distinct(Rng& rng, uint64_t below, uint64_t count, std::vector<uint32_t>& out) {
  for (; count >= below; count -= below) {
    for (uint64_t i = 0; i != below; ++i) out.push_back(static_cast<uint32_t>(i));
  }
  if (count > below / 2) {
    append_by_shuffle(rng, below, count, out);
  } else {
    append_by_draws(rng, below, count, out);
  }
}

}  // namespace umbel::data
