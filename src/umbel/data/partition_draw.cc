#include "umbel/data/partition_draw.h"

#include <algorithm>
#include <bitset>
#include <span>

#include "umbel/data/distinct.h"

namespace umbel::data {

namespace {

constexpr uint64_t kFew = 128;  // examples

using Counts = absl::InlinedVector<uint64_t, 32>;

// True if looking through a client's examples for each new one is the fastest, and at most half of
// a pool is taken, so that a draw is new with probability 1/2 or more.
bool few_of_each(const LabelPools& pools, const Counts& counts, uint64_t size) {
  if (size > kFew) return false;
  for (size_t label = 0; label != counts.size(); ++label) {
    if (counts[label] > pools.size(label) / 2) return false;
  }
  return true;
}

// Puts an example of the label, different from those before it, in place of each label.
void replace_labels(const LabelPools& pools, Rng& rng, std::vector<uint32_t>& out) {
  std::bitset<1024> marks;  // of examples seen, modulo its size: most need no further look
  for (auto place = out.begin(); place != out.end(); ++place) {
    const auto pool = pools.pool(*place);
    do {
      *place = pool[rng.below(pool.size())];
    } while (marks[*place % marks.size()] && std::find(out.begin(), place, *place) != place);
    marks[*place % marks.size()] = true;
  }
}

void append_label_by_label(const LabelPools& pools, Rng& rng, const Counts& counts,
                           std::vector<uint32_t>& out) {
  for (size_t label = 0; label != counts.size(); ++label) {
    if (counts[label] == 0) continue;
    const size_t start = out.size();
    const auto pool = pools.pool(label);
    append_distinct(rng, pool.size(), counts[label], out);
    for (uint32_t& place : std::span(out).subspan(start)) place = pool[place];
  }
}

}  // namespace

void draw_by_mix(const LabelPools& pools, const Shares& mix, uint64_t size, Rng& rng,
                 std::vector<uint32_t>& out) {
  const WeightedDraw draw({mix.data(), mix.size()});
  Counts counts(pools.pools(), 0);
  out.resize(size);
  for (uint32_t& label : out) ++counts[label = static_cast<uint32_t>(draw(rng))];
  if (few_of_each(pools, counts, size)) {
    replace_labels(pools, rng, out);
    return;
  }
  out.clear();
  append_label_by_label(pools, rng, counts, out);
  rng.shuffle(std::span(out));
}

}  // namespace umbel::data
