#include "umbel/aggregate/fold.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

namespace umbel::aggregate {

namespace {

constexpr size_t kFailureSamplesMax = 20;
const MetricRecord kNoMetrics;

// The weight that a reply's metrics give it, before any cap.
Result<double> read_weight(const MetricRecord& metrics, const FoldOptions& options) {
  double weight = 0;
  std::string name = fmt::format("metric \"{}\"", options.weight_key);
  if (options.weight) {
    name = "weight";
    try {
      weight = options.weight(metrics);
    } catch (const std::exception& error) {
      return invalid_argument("the strategy's weight function threw: {}", error.what());
    } catch (...) {
      return invalid_argument("the strategy's weight function threw what is not a std::exception");
    }
  } else {
    const MetricValue* value = metrics.find(options.weight_key);
    if (!value) {
      return invalid_argument("{} is missing: it weighs the reply in the mean; there are: {}", name,
                              metrics.names());
    }
    if (const auto* integer = std::get_if<int64_t>(&value->base())) {
      weight = static_cast<double>(*integer);
    } else if (const auto* real = std::get_if<double>(&value->base())) {
      weight = *real;
    } else {
      return invalid_argument("{} is a list, expected one number", name);
    }
  }
  if (weight == 0) return invalid_argument("{} is 0: the reply carries no examples", name);
  if (!(weight > 0) || !std::isfinite(weight)) {
    return invalid_argument("{} is {}, expected a positive finite number", name, weight);
  }
  weight = std::min(weight, options.weight_max);
  UMBEL_RETURN_IF_ERROR(annotate(check_weight(weight), name));
  return weight;
}

bool before(const Failure& a, const Failure& b) {
  return std::tie(a.node, a.error.code, a.error.reason) <
         std::tie(b.node, b.error.code, b.error.reason);
}

}  // namespace

uint64_t FoldResult::failure_count() const {
  uint64_t total = 0;
  for (const auto& [code, count] : failures) total += count;
  return total;
}

Fold::Fold(std::shared_ptr<const ArrayRecord> layout, FoldOptions options)
    : layout_(std::move(layout)), options_(std::move(options)), metrics_(options_.weight_key) {
  if (layout_) arrays_.emplace(*layout_);
}

Result<Fold::Pending> Fold::accept(const Message& reply) const {
  if (!reply.shared_content()) return invalid_argument("the reply has neither content nor error");
  const RecordDict& content = *reply.shared_content();
  Pending pending{reply.source(), reply.shared_content(), nullptr, first_of<MetricRecord>(content),
                  0};
  if (!pending.metrics) pending.metrics = &kNoMetrics;
  if (arrays_) {
    pending.arrays = first_of<ArrayRecord>(content);
    if (!pending.arrays) return invalid_argument("no arrays; there are: {}", content.names());
    UMBEL_RETURN_IF_ERROR(require_layout(*pending.arrays, *layout_));
  }
  UMBEL_ASSIGN_OR_RETURN(pending.weight, read_weight(*pending.metrics, options_));
  UMBEL_RETURN_IF_ERROR(MetricMean::check(*pending.metrics, pending.weight));
  return pending;
}

void Fold::add(const Message& reply) {
  if (reply.has_error()) return fail(reply.source(), reply.error());
  Result<Pending> pending = accept(reply);
  if (!pending.ok()) {
    return fail(reply.source(), {MessageError::Code::kBadReply, message_of(pending.status())});
  }
  if (!arrays_) return count(*pending);
  pending_bytes_ += pending->arrays->byte_size();
  pending_.push_back(*std::move(pending));
  if (pending_.size() == kBatchMax || pending_bytes_ >= kBatchBytesMax) flush();
}

void Fold::count(const Pending& pending) {
  metrics_.add(*pending.metrics, pending.weight);
  ++result_.replies;
  weight_.add(pending.weight);
  result_.reply_bytes += pending.content->byte_size();
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

void Fold::fail(NodeId node, MessageError error) {
  ++result_.failures[error.code];
  keep_sample({node, std::move(error)});
}

// The least ids are kept, so that the sample does not depend on the order of arrival.
void Fold::keep_sample(Failure failure) {
  std::vector<Failure>& samples = result_.failure_samples;
  const auto place = std::ranges::upper_bound(samples, failure, before);
  samples.insert(place, std::move(failure));
  if (samples.size() > kFailureSamplesMax) samples.pop_back();
}

void Fold::merge(Fold&& other) {
  if (arrays_) {
    flush();
    other.flush();
    arrays_->merge(*other.arrays_);
  }
  metrics_.merge(other.metrics_);
  weight_.add(other.weight_);
  result_.replies += other.result_.replies;
  result_.reply_bytes += other.result_.reply_bytes;
  for (const auto& [code, count] : other.result_.failures) result_.failures[code] += count;
  for (Failure& failure : other.result_.failure_samples) keep_sample(std::move(failure));
}

FoldResult Fold::finish(Parallel& parallel) {
  if (arrays_) {
    flush();
    if (arrays_->count()) result_.arrays = *arrays_->finish(parallel);
  }
  result_.weight = weight_.value();
  result_.metrics = metrics_.finish();
  return std::move(result_);
}

}  // namespace umbel::aggregate
