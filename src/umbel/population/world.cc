#include "umbel/population/world.h"

#include <algorithm>
#include <cmath>

#include "umbel/base/rng.h"

namespace umbel {

void World::advance(VirtualTime by) {
  if (together_) {
    together_ = std::max(*together_, by);
    return;
  }
  now_ = std::min(now_ + std::max(by, VirtualTime::zero()), kVirtualTimeMax);
}

void World::end_together() {
  const VirtualTime by = together_.value_or(VirtualTime::zero());
  together_.reset();
  advance(by);
}

Pool World::pool() const {
  Pool pool{population_->clients(), population_.get(), {}};
  if (population_->always_available()) return pool;
  pool.available = [population = population_, now = now_](uint64_t client) {
    return population->available(client, now);
  };
  return pool;
}

uint64_t World::available() const {
  const uint64_t clients = population_->clients();
  if (population_->always_available()) return clients;
  const bool counted = clients <= kCountedMax;
  const uint64_t looks = std::min(clients, kCountedMax);
  Rng rng(derive_seed(static_cast<uint64_t>(now_.count()), "available"));
  uint64_t there = 0;
  for (uint64_t i = 0; i != looks; ++i) {
    there += population_->available(counted ? i : rng.below(clients), now_);
  }
  if (counted) return there;
  return static_cast<uint64_t>(std::llround(
      static_cast<double>(there) / static_cast<double>(looks) * static_cast<double>(clients)));
}

std::optional<VirtualTime> World::first_arrival(VirtualTime horizon) const {
  const uint64_t clients = population_->distinct_clients();
  const bool all = clients <= kAwaitedMax;
  Rng rng(derive_seed(static_cast<uint64_t>(now_.count()), "arrival"));
  std::optional<VirtualTime> first;
  for (uint64_t i = 0; i != std::min(clients, kAwaitedMax) && first != now_; ++i) {
    const uint64_t client = all ? i : rng.below(clients);
    const auto arrival = population_->next_arrival(client, now_, horizon);
    if (!arrival) continue;
    first = arrival;
    horizon = *arrival - VirtualTime(1);  // who comes later makes no difference
  }
  return first;
}

Status World::await_anybody() {
  if (const auto reason = population_->over(now_)) return absl::OutOfRangeError(*reason);
  const VirtualTime patience = now_ + std::chrono::hours(kWaitHoursMax);
  const VirtualTime horizon = std::min(patience, kVirtualTimeMax - VirtualTime(1));
  if (now_ <= horizon) {
    if (const auto arrival = first_arrival(horizon)) {
      advance(*arrival - now_);
      return absl::OkStatus();
    }
  }
  if (horizon < patience) {
    return absl::OutOfRangeError(
        fmt::format("virtual time ends after {:.0f} s, 317 years", seconds_of(kVirtualTimeMax)));
  }
  return unavailable(
      "population: no client was there for {} days from {} s on: look at its availability",
      kWaitHoursMax / 24, seconds_of(now_));
}

}  // namespace umbel
