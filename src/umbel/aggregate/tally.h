#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "umbel/aggregate/fold_options.h"
#include "umbel/aggregate/fold_result.h"
#include "umbel/aggregate/metric_mean.h"
#include "umbel/kernel/exact_sum.h"

namespace umbel::aggregate {

// How much a reply with these metrics counts: FoldOptions say how.  `given`: what
// FoldOptions::weight gave where it was called elsewhere; it is not called then.
// INVALID_ARGUMENT for a weight or metrics that cannot be folded.
Result<double> reply_weight(const MetricRecord& metrics, const FoldOptions& options,
                            std::optional<double> given = {});

// All of a fold but its arrays: metrics, weights, counts and failures.  A partial aggregate: the
// order and the grouping of the calls cannot matter.  One thread at a time.
class Tally {
 public:
  explicit Tally(const FoldOptions& options)
      : metrics_(options.weight_key), metric_replies_min_(options.metric_replies_min) {}

  // A reply that counts; weight and metrics as reply_weight() accepted them.
  void count(const MetricRecord& metrics, double weight, uint64_t bytes);
  void fail(NodeId node, MessageError error);
  void merge(Tally&& other);

  uint64_t replies() const { return result_.replies; }
  uint64_t failures() const { return result_.failure_count(); }
  const kernel::ExactSum& weight() const { return weight_; }
  // Everything but FoldResult::arrays; the tally is spent afterwards.
  FoldResult finish();

 private:
  void keep_sample(Failure failure);

  MetricMean metrics_;
  uint64_t metric_replies_min_;
  kernel::ExactSum weight_;
  FoldResult result_;
};

}  // namespace umbel::aggregate
