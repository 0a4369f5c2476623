#include "umbel/aggregate/stream_fold.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "umbel/aggregate/blob_blocks.h"
#include "umbel/aggregate/finite.h"
#include "umbel/base/check.h"

namespace umbel::aggregate {

namespace {

constexpr size_t kLocks = 64;
constexpr size_t kTakeBytesMax = size_t{1} << 20;

Status forgotten() {
  return failed_precondition("the fold was restarted: the reply has to be sent anew");
}

Status closed_already() { return failed_precondition("the fold is closed"); }

}  // namespace

// What is known of a reply under way.  Belongs to the caller of begin(), one thread at a time.
class StreamFold::Streamed {
 public:
  explicit Streamed(BlobCutter cutter) : cutter(std::move(cutter)) {}

  NodeId node;
  MetricRecord metrics;
  double weight = 0;
  uint64_t content_bytes = 0;
  uint64_t generation = 0;
  BlobCutter cutter;
  bool added = false;  // to the sums, at least a block
  bool ended = false;
  Status broken;
};

struct StreamFold::State {
  State(std::shared_ptr<const Layout> layout, FoldOptions options)
      : options(options), whole(layout, options), streamed(options) {
    if (layout) sums.emplace(std::move(layout));
  }

  const FoldOptions options;
  std::optional<LayoutSum> sums;  // block b under locks[b % kLocks]; all of them: no add() running
  struct alignas(64) Lock {
    absl::Mutex mutex;
  };
  std::array<Lock, kLocks> locks;
  std::atomic<uint64_t> generation{0};

  mutable absl::Mutex mutex;
  Fold whole ABSL_GUARDED_BY(mutex);
  Tally streamed ABSL_GUARDED_BY(mutex);
  std::vector<NodeId> counted ABSL_GUARDED_BY(mutex);  // by streaming
  uint64_t under_way ABSL_GUARDED_BY(mutex) = 0;
  bool spoilt ABSL_GUARDED_BY(mutex) = false;  // the sums hold a part of a reply
  bool closed ABSL_GUARDED_BY(mutex) = false;

  bool take_out(Streamed& reply) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  Status require_at_rest() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool is_current(const Streamed& reply) const { return reply.generation == generation; }
  Status add_block(Streamed& reply, size_t b, const std::byte* data);
  Status hand_out(const kernel::ExactSum::Pair& divisor, LayoutSum* others, const Take& take);
};

StreamFold::StreamFold(std::shared_ptr<const Layout> layout, FoldOptions options)
    : state_(std::make_unique<State>(std::move(layout), std::move(options))) {}
StreamFold::~StreamFold() = default;

bool StreamFold::add(const Message& reply, std::optional<double> weight) {
  absl::MutexLock lock(&state_->mutex);
  if (state_->closed) return false;
  const uint64_t failures = state_->whole.tally().failures();
  state_->whole.add(reply, weight);
  state_->whole.flush();
  return state_->whole.tally().failures() == failures;
}

void StreamFold::fail(NodeId node, MessageError error) {
  absl::MutexLock lock(&state_->mutex);
  if (state_->closed) return;
  state_->whole.fail(node, std::move(error));
}

Result<std::shared_ptr<StreamFold::Streamed>> StreamFold::begin(NodeId node, const Layout& layout,
                                                                const MetricRecord& metrics,
                                                                uint64_t content_bytes,
                                                                std::optional<double> weight) {
  if (state_->sums) UMBEL_RETURN_IF_ERROR(require_layout(layout, state_->sums->layout()));
  UMBEL_ASSIGN_OR_RETURN(const double accepted, reply_weight(metrics, state_->options, weight));
  auto reply = std::make_shared<Streamed>(state_->sums ? BlobCutter(*state_->sums)
                                                       : BlobCutter(blob_size(layout)));
  reply->node = node;
  reply->metrics = metrics;
  reply->weight = accepted;
  reply->content_bytes = content_bytes;
  absl::MutexLock lock(&state_->mutex);
  if (state_->closed) return closed_already();
  reply->generation = state_->generation;
  ++state_->under_way;
  return reply;
}

Status StreamFold::State::add_block(Streamed& reply, size_t b, const std::byte* data) {
  const BlockSum::Piece piece{data, reply.weight};
  uint32_t refused = 0;
  {
    absl::MutexLock lock(&locks[b % kLocks].mutex);
    refused = sums->add(b, {&piece, 1});
    sums->trim(b);
  }
  if (refused) {
    const LayoutSum::Block& block = sums->block(b);
    const ArraySpec& spec = sums->layout()[block.array];
    const Status status =
        require_finite(spec.name, spec.dtype, {data, sums->byte_size(b)}, block.first);
    UMBEL_CHECK(!status.ok());
    return status;
  }
  reply.added = true;
  return absl::OkStatus();
}

Status StreamFold::add(Streamed& reply, std::span<const std::byte> bytes) {
  if (!state_->is_current(reply)) return forgotten();
  if (reply.ended) return failed_precondition("the reply has ended");
  UMBEL_RETURN_IF_ERROR(reply.broken);
  reply.broken = reply.cutter.cut(
      bytes, [&](size_t b, const std::byte* data) { return state_->add_block(reply, b, data); });
  return reply.broken;
}

Status StreamFold::finish(Streamed& reply) {
  absl::MutexLock lock(&state_->mutex);
  if (!state_->is_current(reply)) return forgotten();
  if (reply.ended) return failed_precondition("the reply has ended");
  UMBEL_RETURN_IF_ERROR(reply.broken);
  if (!reply.cutter.done()) {
    return failed_precondition("the reply's arrays have {} bytes so far, expected {}",
                               reply.cutter.bytes(), reply.cutter.bytes_expected());
  }
  reply.ended = true;
  --state_->under_way;
  state_->streamed.count(reply.metrics, reply.weight, reply.content_bytes);
  state_->counted.push_back(reply.node);
  return absl::OkStatus();
}

bool StreamFold::drop(Streamed& reply, MessageError error) {
  absl::MutexLock lock(&state_->mutex);
  if (!state_->is_current(reply) || reply.ended) return false;
  state_->whole.fail(reply.node, std::move(error));
  return state_->take_out(reply);
}

bool StreamFold::abandon(Streamed& reply) {
  absl::MutexLock lock(&state_->mutex);
  if (!state_->is_current(reply) || reply.ended) return false;
  return state_->take_out(reply);
}

bool StreamFold::State::take_out(Streamed& reply) {
  reply.ended = true;
  --under_way;
  spoilt |= reply.added;
  return reply.added;
}

std::vector<NodeId> StreamFold::restart() {
  absl::MutexLock lock(&state_->mutex);
  ++state_->generation;
  if (state_->sums) state_->sums->clear();
  state_->streamed = Tally(state_->options);
  state_->under_way = 0;
  state_->spoilt = false;
  return std::exchange(state_->counted, std::vector<NodeId>());
}

uint64_t StreamFold::replies() const {
  absl::MutexLock lock(&state_->mutex);
  return state_->whole.tally().replies() + state_->streamed.replies();
}

uint64_t StreamFold::failures() const {
  absl::MutexLock lock(&state_->mutex);
  return state_->whole.tally().failures();
}

// Means go out as the sums go away.  `others`: those of the whole replies, or nullptr.
Status StreamFold::State::hand_out(const kernel::ExactSum::Pair& divisor, LayoutSum* others,
                                   const Take& take) {
  BlobWriter writer(kTakeBytesMax, take);
  for (size_t b = 0; b != sums->size(); ++b) {
    if (others) {
      sums->merge(b, *others);
      others->drop(b);
    }
    UMBEL_ASSIGN_OR_RETURN(std::byte * out, writer.place(*sums, b));
    sums->mean(b, out, divisor);
    sums->drop(b);
  }
  return writer.end(blob_size(sums->layout()));
}

Status StreamFold::State::require_at_rest() const {
  if (closed) return closed_already();
  if (under_way) return failed_precondition("{} replies are under way", under_way);
  if (spoilt) {
    return failed_precondition("the sums hold a part of a dropped reply: restart() comes first");
  }
  return absl::OkStatus();
}

Result<FoldResult> StreamFold::close(const Take& take) {
  std::optional<WeightedMean> whole;
  Tally all(state_->options);
  {
    absl::MutexLock lock(&state_->mutex);
    UMBEL_RETURN_IF_ERROR(state_->require_at_rest());
    state_->closed = true;
    whole = std::exchange(state_->whole.arrays(), std::nullopt);
    all.merge(Tally(state_->whole.tally()));
    all.merge(Tally(state_->streamed));
  }
  if (state_->sums && all.replies()) {
    LayoutSum* others = whole->count() ? &whole->sums() : nullptr;
    UMBEL_RETURN_IF_ERROR(state_->hand_out(all.weight().pair(), others, take));
  }
  return all.finish();
}

}  // namespace umbel::aggregate
