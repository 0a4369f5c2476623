#pragma once

#include <memory>
#include <optional>
#include <string>

#include "umbel/population/population.h"

namespace umbel {

// A population as time goes by: what a simulation has for a clock.  The ServerApp's thread alone
// moves it.
class World {
 public:
  explicit World(Population population)
      : population_(std::make_shared<const Population>(std::move(population))) {}

  const Population& population() const { return *population_; }
  VirtualTime now() const { return now_; }
  // Never beyond what a VirtualTime holds.
  void advance(VirtualTime by);
  // Between the two, advance() tells of things that go on at the same time: together they take as
  // long as the longest.
  void begin_together() { together_ = VirtualTime::zero(); }
  void end_together();

  // Those who can be asked now.  It stays as it is when the time goes on.
  Pool pool() const;
  // How many those are: counted in a population of up to kCountedMax, else estimated from that many
  // draws, with a standard error of at most 0.4 % of the population.
  uint64_t available() const;
  // Lets time pass until the moment at which the first client can be asked: the first of all, or in
  // a population of more than kAwaitedMax of that many, which are drawn anew each time. UNAVAILABLE
  // if none can for kWaitHoursMax.  OUT_OF_RANGE with the reason if the population's time is over,
  // or virtual time is (kVirtualTimeMax).  A failed call lets no time pass.
  Status await_anybody();

  static constexpr uint64_t kCountedMax = 16'384;
  static constexpr uint64_t kAwaitedMax = 1 << 20;
  static constexpr int kWaitHoursMax = 24 * 31;

 private:
  std::optional<VirtualTime> first_arrival(VirtualTime horizon) const;

  std::shared_ptr<const Population> population_;
  VirtualTime now_{};
  std::optional<VirtualTime> together_;
};

}  // namespace umbel
