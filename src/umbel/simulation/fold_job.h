#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "umbel/app/grid.h"
#include "umbel/simulation/virtual_clients.h"
#include "umbel/simulation/worker_pool.h"

namespace umbel {

// One phase of a round in a simulation: many clients get one content, and each thread folds the
// replies of the clients it runs into a partial aggregate of its own.
class FoldJob final : public WorkerPool::Job {
 public:
  FoldJob(VirtualClients& clients, RunId run, MessageId first, Broadcast broadcast,
          AggregationPlan plan, size_t lanes);

  void run(size_t lane) override;
  bool has_work() const override { return !closed_ && next_ < broadcast_.nodes.size(); }

  // Merges what was folded.  Replies that come later are dropped; clients without one count as
  // failed by `code`.  Rethrows what the plan's own functions threw.
  aggregate::FoldResult close(MessageError::Code code, std::string_view reason);
  // No further client is started and no reply counted.
  void cancel();

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
    std::vector<uint64_t> unanswered ABSL_GUARDED_BY(mutex);  // the client being run, if any
    std::exception_ptr failure ABSL_GUARDED_BY(mutex);
  };
  bool take(Lane& lane, uint64_t& index);
  void fold(Lane& lane, const Message& reply);

  VirtualClients& clients_;
  Metadata metadata_;
  Broadcast broadcast_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::atomic<uint64_t> next_{0};
  std::atomic<uint64_t> done_{0};
  std::atomic<bool> closed_{false};
};

}  // namespace umbel
