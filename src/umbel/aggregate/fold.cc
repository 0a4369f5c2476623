#include "umbel/aggregate/fold.h"

#include <utility>

namespace umbel::aggregate {

namespace {

const MetricRecord kNoMetrics;

}  // namespace

Fold::Fold(std::shared_ptr<const Layout> layout, FoldOptions options)
    : options_(std::move(options)), tally_(options_) {
  if (layout) arrays_.emplace(std::move(layout));
}

Fold::Fold(const std::shared_ptr<const ArrayRecord>& layout, FoldOptions options)
    : Fold(layout ? std::make_shared<const Layout>(layout_of(*layout)) : nullptr,
           std::move(options)) {}

Result<Fold::Pending> Fold::accept(const Message& reply, std::optional<double> weight) const {
  if (!reply.shared_content()) return invalid_argument("the reply has neither content nor error");
  const RecordDict& content = *reply.shared_content();
  Pending pending{reply.source(), reply.shared_content(), nullptr, first_of<MetricRecord>(content),
                  0};
  if (!pending.metrics) pending.metrics = &kNoMetrics;
  if (arrays_) {
    pending.arrays = first_of<ArrayRecord>(content);
    if (!pending.arrays) return invalid_argument("no arrays; there are: {}", content.names());
    UMBEL_RETURN_IF_ERROR(require_layout(*pending.arrays, arrays_->layout()));
  }
  UMBEL_ASSIGN_OR_RETURN(pending.weight, reply_weight(*pending.metrics, options_, weight));
  return pending;
}

void Fold::add(const Message& reply, std::optional<double> weight) {
  if (reply.has_error()) return fail(reply.source(), reply.error());
  Result<Pending> pending = accept(reply, weight);
  if (!pending.ok()) {
    return fail(reply.source(), {MessageError::Code::kBadReply, message_of(pending.status())});
  }
  if (!arrays_) return count(*pending);
  pending_bytes_ += pending->arrays->byte_size();
  pending_.push_back(*std::move(pending));
  if (pending_.size() == kBatchMax || pending_bytes_ >= kBatchBytesMax) flush();
}

void Fold::count(const Pending& pending) {
  tally_.count(*pending.metrics, pending.weight, pending.content->byte_size());
}

void Fold::flush() {
  if (pending_.empty()) return;
  std::vector<Addend> addends;
  addends.reserve(pending_.size());
  for (const Pending& pending : pending_) addends.push_back({pending.arrays, pending.weight});
  Serial serial;
  const std::vector<Status> statuses = arrays_->add(addends, serial);
  for (size_t k = 0; k != pending_.size(); ++k) {
    if (statuses[k].ok()) {
      count(pending_[k]);
    } else {
      fail(pending_[k].node, {MessageError::Code::kBadReply, message_of(statuses[k])});
    }
  }
  pending_.clear();
  pending_bytes_ = 0;
}

void Fold::merge(Fold&& other) {
  if (arrays_) {
    flush();
    other.flush();
    arrays_->merge(*other.arrays_);
  }
  tally_.merge(std::move(other.tally_));
}

FoldResult Fold::finish(Parallel& parallel) {
  flush();
  FoldResult result = tally_.finish();
  if (arrays_ && arrays_->count()) result.arrays = *arrays_->finish(parallel);
  return result;
}

}  // namespace umbel::aggregate
