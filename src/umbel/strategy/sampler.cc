#include "umbel/strategy/sampler.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "umbel/base/rng.h"
#include "umbel/strategy/draw.h"

namespace umbel {

namespace {

constexpr uint64_t kPopulationMax = uint64_t{1} << 53;  // every id is exact as a double
constexpr uint64_t kCohortMax = uint64_t{1} << 28;      // 2 GiB of ids

// Floyd's algorithm (Bentley and Floyd, CACM 1987): every set of `clients` ids is equally likely,
// after `clients` draws.
std::vector<uint64_t> draw_distinct(uint64_t population, uint64_t clients, Rng rng) {
  absl::flat_hash_set<uint64_t> drawn;
  drawn.reserve(clients);
  std::vector<uint64_t> ids;
  ids.reserve(clients);
  for (uint64_t last = population - clients; last != population; ++last) {
    const uint64_t candidate = rng.below(last + 1);
    const uint64_t id = drawn.insert(candidate).second ? candidate : last;
    if (id == last) drawn.insert(last);
    ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

// Jumps from one chosen client to the next: the gaps of independent trials are geometric.
std::vector<uint64_t> draw_poisson(uint64_t population, double probability, Rng rng) {
  std::vector<uint64_t> ids;
  if (probability == 0) return ids;
  for (uint64_t id = 0; id < population; ++id) {
    const uint64_t gap = rng.geometric(probability);
    if (gap >= population - id) break;
    id += gap;
    ids.push_back(id);
  }
  return ids;
}

}  // namespace

uint64_t Sampler::cohort(uint64_t population) const {
  const auto share = static_cast<uint64_t>(std::llround(share_ * static_cast<double>(population)));
  switch (kind_) {
    case Kind::kFraction:
      return std::max(share, clients_);
    case Kind::kPoisson:
      return share;
    case Kind::kCount:
    case Kind::kStratified:
    case Kind::kQuota:
    case Kind::kWeighted:
    case Kind::kProportional:
      return clients_;
    case Kind::kAll:
      break;
  }
  return population;
}

bool Sampler::picks_nobody() const { return kind_ != Kind::kAll && share_ == 0 && clients_ == 0; }

Status Sampler::validate(uint64_t population, const Traits* traits) const {
  if (!(share_ >= 0 && share_ <= 1)) {
    return invalid_argument("sampler: {}, expected a share from 0 to 1", describe());
  }
  if (population == 0) return invalid_argument("sampler: the population is empty");
  if (population > kPopulationMax) {
    return invalid_argument("sampler: a population of {}, at most 2^53 is possible", population);
  }
  const uint64_t clients = cohort(population);
  if (clients > population) {
    return invalid_argument(
        "sampler: {} of a population of {}: ask fewer clients, or raise the number of nodes",
        describe(), population);
  }
  if (clients > kCohortMax) {
    return invalid_argument("sampler: {} of a population of {} are {} clients, at most 2^28 fit",
                            describe(), population, clients);
  }
  return traited_ ? validate_traited(traits) : absl::OkStatus();
}

Result<std::vector<uint64_t>> Sampler::sample(uint64_t population, uint64_t seed) const {
  UMBEL_RETURN_IF_ERROR(validate(population));
  if (kind_ == Kind::kPoisson) return draw_poisson(population, share_, Rng(seed));
  if (traited_) return draw_traited({population, nullptr, {}}, seed);
  const uint64_t clients = cohort(population);
  if (clients < population) return draw_distinct(population, clients, Rng(seed));
  std::vector<uint64_t> everyone(population);
  std::iota(everyone.begin(), everyone.end(), uint64_t{0});
  return everyone;
}

Result<Sampler::Drawn> Sampler::draw(const Pool& pool, uint64_t seed) const {
  UMBEL_RETURN_IF_ERROR(validate(pool.clients, pool.traits));
  Drawn drawn;
  const bool some = kind_ == Kind::kFraction || kind_ == Kind::kCount;
  if (traited_) {
    UMBEL_ASSIGN_OR_RETURN(drawn.clients, draw_traited(pool, seed));
  } else if (some && pool.available) {
    const DrawRule rule{.clients = cohort(pool.clients)};
    UMBEL_ASSIGN_OR_RETURN(drawn.clients, draw_by(rule, pool, Rng(seed)));
  } else {
    UMBEL_ASSIGN_OR_RETURN(drawn.clients, sample(pool.clients, seed));
  }
  drawn.wanted = kind_ == Kind::kPoisson ? drawn.clients.size() : cohort(pool.clients);
  if (pool.available && !some && !traited_) {
    std::erase_if(drawn.clients, [&](uint64_t client) { return !pool.available(client); });
  }
  return drawn;
}

std::string Sampler::describe() const {
  switch (kind_) {
    case Kind::kFraction:
      return fmt::format("fraction {}, at least {}", share_, clients_);
    case Kind::kCount:
      return fmt::format("count {}", clients_);
    case Kind::kPoisson:
      return fmt::format("poisson {}", share_);
    case Kind::kAll:
      break;
    case Kind::kStratified:
      return fmt::format("stratified by {}, {}", traited_->attribute, clients_);
    case Kind::kQuota:
    case Kind::kWeighted: {
      const bool quota = kind_ == Kind::kQuota;
      std::string text = quota ? fmt::format("quota by {}", traited_->attribute)
                               : fmt::format("weighted by {}, {}", traited_->attribute, clients_);
      for (const auto& [category, number] : traited_->categories) {
        text += fmt::format(", {} {}", category, number);
      }
      return text;
    }
    case Kind::kProportional:
      return fmt::format("proportional to size, {}", clients_);
  }
  return "all";
}

}  // namespace umbel
