#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "umbel/app/grid.h"
#include "umbel/population/population.h"

namespace umbel {

// One phase of a round in virtual time: what becomes of each client's work, and how long the phase
// takes: until the last client replied or left, or the deadline.  Any threads; decided by client,
// message and the time at which the phase began, so that the order in which clients run makes no
// difference.
class PhaseClock {
 public:
  // The population outlives it.
  PhaseClock(const Population& population, VirtualTime start, Deadline deadline,
             uint64_t bytes_down, uint64_t run_seed);

  // Why a client need not be run: it is gone, or too late, before it has what it was sent.
  std::optional<MessageError> lost_on_the_way(const Metadata& message);
  // Why a reply does not count; nothing: it does.  Its work is the metric "num-examples", times
  // "epochs" if it has that; without "num-examples", none.
  std::optional<MessageError> judge(const Metadata& message, const Message& reply);

  VirtualTime took() const { return VirtualTime(took_->load()); }

 private:
  Outcome outcome(const Metadata& message, const Work& work) const;
  std::optional<MessageError> settle(const Outcome& outcome);

  const Population& population_;
  VirtualTime start_;
  std::optional<VirtualTime> deadline_;
  uint64_t bytes_down_;
  uint64_t run_seed_;
  std::unique_ptr<std::atomic<int64_t>> took_ = std::make_unique<std::atomic<int64_t>>(0);
};

}  // namespace umbel
