#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "umbel/app/grid.h"
#include "umbel/simulation/phase_clock.h"
#include "umbel/simulation/virtual_clients.h"
#include "umbel/simulation/worker_pool.h"

namespace umbel {

// One phase of a round in a simulation: many clients get one content, and each thread folds the
// replies of the clients it runs into a partial aggregate of its own.
class FoldJob final : public WorkerPool::Job {
 public:
  using Clock = WrapUp::Clock;
  FoldJob(VirtualClients& clients, RunId run, MessageId first, Broadcast broadcast,
          AggregationPlan plan, Deadline deadline, size_t lanes,
          std::optional<PhaseClock> clock = {});
  // As the clock counts, and no longer than it can.
  static Clock::duration clock_duration(std::chrono::duration<double> time);

  bool run(size_t lane) override;
  bool has_work() const override { return !closed_ && next_ < broadcast_.nodes.size(); }

  // Gives up on clients that have been at it since before `started`: they count as failed, whatever
  // they reply later is dropped, and their lanes, returned here, need new threads.  Tells the
  // handler.
  std::vector<size_t> expire(Clock::time_point started, std::string_view reason);
  // The client that has been at it longest, and since when.
  struct Busy {
    uint64_t client;
    Clock::time_point started;
  };
  std::optional<Busy> longest() const;
  // Merges what was folded.  Rethrows what the plan's own functions threw.
  aggregate::FoldResult close();
  // No further client is started and no reply counted.
  void cancel();

  // That the phase took, once it is over; 0 without a clock.
  VirtualTime virtual_time() const { return clock_ ? clock_->took() : VirtualTime(); }

  uint64_t done() const { return done_.load(std::memory_order_relaxed); }
  uint64_t total() const { return broadcast_.nodes.size(); }
  const std::string& type() const { return broadcast_.type; }
  uint64_t round() const { return broadcast_.round; }

 private:
  struct Lane {
    explicit Lane(const AggregationPlan& plan) : fold(plan.layout, plan.options) {}
    absl::Mutex mutex;
    aggregate::Fold fold ABSL_GUARDED_BY(mutex);
    bool closed ABSL_GUARDED_BY(mutex) = false;
    std::optional<uint64_t> index ABSL_GUARDED_BY(mutex);  // in the list, of the client being run
    Clock::time_point started ABSL_GUARDED_BY(mutex);
    uint64_t turn ABSL_GUARDED_BY(mutex) = 0;  // goes up when a client starts or is given up
    std::exception_ptr failure ABSL_GUARDED_BY(mutex);
  };
  // A client that a thread has taken: its place in the list, and the lane's turn.
  struct Taken {
    uint64_t index;
    uint64_t turn;
    Clock::time_point started;
  };
  std::optional<Taken> take(Lane& lane);
  Metadata metadata_of(uint64_t index) const;
  Message handle(const Taken& taken);
  // False if the lane went to another thread meanwhile.
  bool fail(Lane& lane, const Taken& taken, std::exception_ptr failure);
  bool fold(Lane& lane, const Taken& taken, const Message& reply);

  VirtualClients& clients_;
  Metadata metadata_;
  Broadcast broadcast_;
  Deadline deadline_;
  std::optional<PhaseClock> clock_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::atomic<uint64_t> next_{0};
  std::atomic<uint64_t> done_{0};
  std::atomic<bool> closed_{false};
};

}  // namespace umbel
