#include "umbel/simulation/fold_job.h"

#include <algorithm>

namespace umbel {

FoldJob::FoldJob(VirtualClients& clients, RunId run, MessageId first, Broadcast broadcast,
                 AggregationPlan plan, size_t lanes)
    : clients_(clients),
      metadata_{.run = run,
                .id = first,
                .source = kServerNode,
                .type = broadcast.type,
                .round = broadcast.round},
      broadcast_(std::move(broadcast)) {
  for (size_t i = 0; i != lanes; ++i) lanes_.push_back(std::make_unique<Lane>(plan));
}

bool FoldJob::take(Lane& lane, uint64_t& index) {
  absl::MutexLock lock(&lane.mutex);
  if (lane.closed || closed_) return false;
  index = next_.fetch_add(1, std::memory_order_relaxed);
  if (index >= broadcast_.nodes.size()) return false;
  lane.unanswered.assign(1, broadcast_.nodes[index]);
  return true;
}

void FoldJob::run(size_t lane_number) {
  Lane& lane = *lanes_[lane_number];
  uint64_t index = 0;
  while (take(lane, index)) {
    Metadata metadata = metadata_;
    metadata.id = MessageId(metadata_.id.value() + index);
    metadata.destination = NodeId(broadcast_.nodes[index]);
    fold(lane, clients_.handle(Message(std::move(metadata), broadcast_.content)));
  }
  absl::MutexLock lock(&lane.mutex);
  if (!lane.closed) lane.fold.flush();
}

void FoldJob::fold(Lane& lane, const Message& reply) {
  absl::MutexLock lock(&lane.mutex);
  if (lane.closed) return;  // too late: close() has counted this client as failed
  lane.unanswered.clear();
  try {
    lane.fold.add(reply);
  } catch (...) {
    lane.failure = std::current_exception();
    closed_ = true;
  }
  done_.fetch_add(1, std::memory_order_relaxed);
}

void FoldJob::cancel() {
  closed_ = true;
  for (const auto& lane : lanes_) {
    absl::MutexLock lock(&lane->mutex);
    lane->closed = true;
  }
}

aggregate::FoldResult FoldJob::close(MessageError::Code code, std::string_view reason) {
  closed_ = true;
  const uint64_t started =
      std::min<uint64_t>(next_.exchange(broadcast_.nodes.size()), broadcast_.nodes.size());
  std::vector<uint64_t> unanswered(broadcast_.nodes.begin() + static_cast<std::ptrdiff_t>(started),
                                   broadcast_.nodes.end());
  aggregate::Fold* all = nullptr;
  Serial serial;
  for (const auto& lane : lanes_) {
    absl::MutexLock lock(&lane->mutex);
    lane->closed = true;
    if (lane->failure) std::rethrow_exception(lane->failure);
    std::ranges::copy(lane->unanswered, std::back_inserter(unanswered));
    if (all) {
      all->merge(std::move(lane->fold));
    } else {
      all = &lane->fold;
    }
  }
  for (const uint64_t node : unanswered) all->fail(NodeId(node), {code, std::string(reason)});
  return all->finish(serial);
}

}  // namespace umbel
