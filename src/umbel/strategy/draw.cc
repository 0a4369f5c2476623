#include "umbel/strategy/draw.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <cmath>

namespace umbel {

namespace {

class Draw {
 public:
  Draw(const DrawRule& rule, const Pool& pool, Rng rng)
      : rule_(rule), pool_(pool), rng_(rng), left_(rule.clients), room_(rule.quotas) {
    if (!rule_.attribute) room_ = {rule.clients};
  }

  Result<std::vector<uint64_t>> run() {
    const uint64_t tries = std::min(pool_.clients, kTriesMax);
    for (uint64_t i = 0; i != tries && left_ != 0; ++i) {
      const uint64_t client = rng_.below(pool_.clients);
      if (!fits(client)) continue;
      UMBEL_ASSIGN_OR_RETURN(const double ratio, ratio_of(client));
      if (rule_.ratio && rng_.uniform() >= ratio) continue;
      take(client);
    }
    if (left_ != 0 && pool_.clients <= kTriesMax) UMBEL_RETURN_IF_ERROR(take_from_everybody());
    std::vector<uint64_t> clients(drawn_.begin(), drawn_.end());
    std::sort(clients.begin(), clients.end());
    return clients;
  }

 private:
  size_t category(uint64_t client) const {
    return rule_.attribute ? pool_.traits->category(client, *rule_.attribute) : 0;
  }
  bool fits(uint64_t client) const {
    return !drawn_.contains(client) && room_[category(client)] != 0 &&
           (!pool_.available || pool_.available(client));
  }
  Result<double> ratio_of(uint64_t client) const {
    const double ratio = rule_.ratio ? rule_.ratio(client) : 1;
    if (ratio >= 0 && ratio <= 1) return ratio;
    return invalid_argument(
        "sampler: client {} is {} times as large as the largest may be, "
        "expected 0 to 1 times",
        client, ratio);
  }
  void take(uint64_t client) {
    drawn_.insert(client);
    --room_[category(client)];
    --left_;
  }

  // Efraimidis and Spirakis (Information Processing Letters, 2006): the greatest keys log(u) /
  // ratio are a draw of one after another in proportion to the ratios.
  Status take_from_everybody() {
    std::vector<std::vector<std::pair<double, uint64_t>>> keys(room_.size());
    for (uint64_t client = 0; client != pool_.clients; ++client) {
      if (!fits(client)) continue;
      UMBEL_ASSIGN_OR_RETURN(const double ratio, ratio_of(client));
      const double u = 1 - rng_.uniform();  // never 0
      if (ratio > 0) keys[category(client)].emplace_back(-std::log(u) / ratio, client);
    }
    for (size_t c = 0; c != keys.size(); ++c) {
      const size_t taken = std::min<uint64_t>(room_[c], keys[c].size());
      std::partial_sort(keys[c].begin(), keys[c].begin() + static_cast<ptrdiff_t>(taken),
                        keys[c].end());
      for (size_t i = 0; i != taken; ++i) take(keys[c][i].second);
    }
    return absl::OkStatus();
  }

  const DrawRule& rule_;
  const Pool& pool_;
  Rng rng_;
  uint64_t left_;               // to be drawn
  std::vector<uint64_t> room_;  // of each category
  absl::flat_hash_set<uint64_t> drawn_;
};

}  // namespace

Result<std::vector<uint64_t>> draw_by(const DrawRule& rule, const Pool& pool, Rng rng) {
  return Draw(rule, pool, rng).run();
}

// Systematic rounding: the sums so far, all shifted by one uniform number, are cut to integers.
std::vector<uint64_t> apportion(uint64_t whole, const std::vector<double>& shares, Rng rng) {
  const double shift = rng.uniform();
  std::vector<uint64_t> parts;
  double sum = 0;
  uint64_t before = 0;
  for (size_t i = 0; i != shares.size(); ++i) {
    sum += shares[i];
    const double exact = sum * static_cast<double>(whole) + shift;
    const bool last = i + 1 == shares.size();
    const uint64_t cut = last ? whole : std::clamp(static_cast<uint64_t>(exact), before, whole);
    parts.push_back(cut - before);
    before = cut;
  }
  return parts;
}

}  // namespace umbel
