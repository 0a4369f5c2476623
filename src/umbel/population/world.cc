#include "umbel/population/world.h"

#include <algorithm>
#include <cmath>

#include "umbel/base/rng.h"

namespace umbel {

namespace {

constexpr VirtualTime kStepMin = std::chrono::minutes(1);
constexpr uint64_t kLookedAtMax = 1 << 20;  // clients, for one who is there

}  // namespace

void World::advance(VirtualTime by) {
  if (together_) {
    together_ = std::max(*together_, by);
    return;
  }
  now_ = std::min(now_ + std::max(by, VirtualTime::zero()), virtual_time(kVirtualSecondsMax));
}

void World::end_together() {
  const VirtualTime by = together_.value_or(VirtualTime::zero());
  together_.reset();
  advance(by);
}

Pool World::pool() const {
  Pool pool{population_->clients(), population_.get(), {}};
  if (population_->options().availability == Availability::kAlways) return pool;
  pool.available = [population = population_, now = now_](uint64_t client) {
    return population->available(client, now);
  };
  return pool;
}

uint64_t World::available() const {
  const uint64_t clients = population_->clients();
  if (population_->options().availability == Availability::kAlways) return clients;
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

// Every client of a small population; of a large one clients at even distances.
bool World::anybody() const {
  if (population_->options().availability == Availability::kAlways) return true;
  const uint64_t clients = population_->clients();
  const uint64_t looks = std::min(clients, kLookedAtMax);
  for (uint64_t i = 0; i != looks; ++i) {
    const uint64_t client = clients / looks * i + std::min(i, clients % looks);
    if (population_->available(client, now_)) return true;
  }
  return false;
}

Status World::await_anybody() {
  const VirtualTime begun = now_;
  while (true) {
    if (const auto reason = population_->over(now_)) return absl::OutOfRangeError(*reason);
    if (anybody()) return absl::OkStatus();
    if (now_ - begun > std::chrono::hours(kWaitHoursMax)) {
      return unavailable(
          "population: no client was there for {} days from {} s on: look at its availability",
          kWaitHoursMax / 24, seconds_of(begun));
    }
    advance(std::max(kStepMin, (now_ - begun) / 8));
  }
}

}  // namespace umbel
