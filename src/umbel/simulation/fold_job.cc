#include "umbel/simulation/fold_job.h"

#include <algorithm>

namespace umbel {

namespace {
constexpr std::chrono::duration<double> kDurationMax{1e9};
}

FoldJob::Clock::duration FoldJob::clock_duration(std::chrono::duration<double> time) {
  return std::chrono::duration_cast<Clock::duration>(std::min(time, kDurationMax));
}

FoldJob::FoldJob(VirtualClients& clients, RunId run, MessageId first, Broadcast broadcast,
                 AggregationPlan plan, Deadline deadline, size_t lanes,
                 std::optional<PhaseClock> clock)
    : clients_(clients),
      metadata_{.run = run,
                .id = first,
                .source = kServerNode,
                .type = broadcast.type,
                .round = broadcast.round},
      broadcast_(std::move(broadcast)),
      deadline_(deadline),
      clock_(std::move(clock)) {
  for (size_t i = 0; i != lanes; ++i) lanes_.push_back(std::make_unique<Lane>(plan));
}

std::optional<FoldJob::Taken> FoldJob::take(Lane& lane) {
  absl::MutexLock lock(&lane.mutex);
  if (lane.closed || closed_) return std::nullopt;
  const uint64_t index = next_.fetch_add(1, std::memory_order_relaxed);
  if (index >= broadcast_.nodes.size()) return std::nullopt;
  lane.index = index;
  lane.started = Clock::now();
  return Taken{index, ++lane.turn, lane.started};
}

bool FoldJob::run(size_t lane_number) {
  Lane& lane = *lanes_[lane_number];
  while (const auto taken = take(lane)) {
    std::optional<Message> reply;
    try {
      reply = handle(*taken);
    } catch (...) {
      return fail(lane, *taken, std::current_exception());
    }
    if (!fold(lane, *taken, *reply)) return false;
  }
  absl::MutexLock lock(&lane.mutex);
  if (!lane.closed) lane.fold.flush();
  return true;
}

Metadata FoldJob::metadata_of(uint64_t index) const {
  Metadata metadata = metadata_;
  metadata.id = MessageId(metadata_.id.value() + index);
  metadata.destination = NodeId(broadcast_.nodes[index]);
  return metadata;
}

Message FoldJob::handle(const Taken& taken) {
  const Message message(metadata_of(taken.index), broadcast_.content);
  if (clock_) {
    if (auto lost = clock_->lost_on_the_way(message.metadata())) return message.reply(*lost);
    return clients_.handle(message, nullptr, [&](Message reply) {
      auto failure = clock_->judge(message.metadata(), reply);
      return failure ? message.reply(*std::move(failure)) : std::move(reply);
    });
  }
  if (!broadcast_.wrap_up || !deadline_) return clients_.handle(message);
  const WrapUp wrap_up(taken.started + clock_duration(*deadline_ - *broadcast_.wrap_up),
                       taken.started + clock_duration(*deadline_));
  return clients_.handle(message, &wrap_up);
}

bool FoldJob::fold(Lane& lane, const Taken& taken, const Message& reply) {
  absl::MutexLock lock(&lane.mutex);
  if (lane.turn != taken.turn) return false;  // given up: it counts as failed
  if (lane.closed) return true;
  lane.index.reset();
  try {
    lane.fold.add(reply);
  } catch (...) {
    lane.failure = std::current_exception();
    closed_ = true;
  }
  done_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool FoldJob::fail(Lane& lane, const Taken& taken, std::exception_ptr failure) {
  absl::MutexLock lock(&lane.mutex);
  closed_ = true;
  lane.failure = std::move(failure);
  if (lane.turn != taken.turn) return false;
  lane.index.reset();
  return true;
}

std::vector<size_t> FoldJob::expire(Clock::time_point started, std::string_view reason) {
  std::vector<size_t> lanes;
  for (size_t i = 0; i != lanes_.size(); ++i) {
    Lane& lane = *lanes_[i];
    uint64_t index = 0;
    {
      absl::MutexLock lock(&lane.mutex);
      if (!lane.index || lane.started >= started) continue;
      index = *lane.index;
      lane.fold.fail(NodeId(broadcast_.nodes[index]),
                     {MessageError::Code::kDeadline, std::string(reason)});
      lane.index.reset();
      ++lane.turn;
    }
    clients_.handler().give_up(metadata_of(index));
    lanes.push_back(i);
  }
  return lanes;
}

std::optional<FoldJob::Busy> FoldJob::longest() const {
  std::optional<Busy> longest;
  for (const auto& lane : lanes_) {
    absl::MutexLock lock(&lane->mutex);
    if (!lane->index || (longest && longest->started <= lane->started)) continue;
    longest = {broadcast_.nodes[*lane->index], lane->started};
  }
  return longest;
}

void FoldJob::cancel() {
  closed_ = true;
  for (const auto& lane : lanes_) {
    absl::MutexLock lock(&lane->mutex);
    lane->closed = true;
  }
}

aggregate::FoldResult FoldJob::close() {
  closed_ = true;
  aggregate::Fold* all = nullptr;
  Serial serial;
  for (const auto& lane : lanes_) {
    absl::MutexLock lock(&lane->mutex);
    lane->closed = true;
    if (lane->failure) std::rethrow_exception(lane->failure);
    if (all) {
      all->merge(std::move(lane->fold));
    } else {
      all = &lane->fold;
    }
  }
  return all->finish(serial);
}

}  // namespace umbel
