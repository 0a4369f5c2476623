#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "umbel/aggregate/fold_options.h"
#include "umbel/aggregate/metric_mean.h"
#include "umbel/aggregate/weighted_mean.h"
#include "umbel/record/message.h"

namespace umbel::aggregate {

// One client's failure, kept for the report.
struct Failure {
  NodeId node;
  MessageError error;
};

// What a fold came to.
struct FoldResult {
  ArrayRecord arrays;    // the weighted mean; empty if no reply counted or none was asked for
  MetricRecord metrics;  // weighted means; the weight key summed
  uint64_t replies = 0;  // that counted
  double weight = 0;     // of all that counted
  uint64_t reply_bytes = 0;
  std::map<MessageError::Code, uint64_t> failures;  // by kind
  std::vector<Failure> failure_samples;             // those of the least node ids, at most 20
  uint64_t failure_count() const;
};

// Folds replies to one message type: arrays, metrics and failures together, so that a reply counts
// in all of them or in none.  A partial aggregate: add, merge, finish, in any order with the same
// bytes.  A reply's arrays are held until a few have gathered (kBatchMax replies or kBatchBytesMax
// bytes), folded in one pass, and dropped.  One thread at a time.
class Fold {
 public:
  static constexpr size_t kBatchMax = 8;
  static constexpr size_t kBatchBytesMax = size_t{4} << 20;

  // `layout`: the arrays that a reply must have; nullptr if only metrics are asked for.
  Fold(std::shared_ptr<const ArrayRecord> layout, FoldOptions options);

  // A reply, or its error.  What does not fit the round is counted as a failure, not returned.
  void add(const Message& reply);
  void fail(NodeId node, MessageError error);
  // Folds the replies that are still held.
  void flush();
  void merge(Fold&& other);  // of the same layout and options
  FoldResult finish(Parallel& parallel);

 private:
  struct Pending {
    NodeId node;
    std::shared_ptr<const RecordDict> content;
    const ArrayRecord* arrays;
    const MetricRecord* metrics;
    double weight;
  };
  Result<Pending> accept(const Message& reply) const;
  void count(const Pending& pending);
  void keep_sample(Failure failure);

  std::shared_ptr<const ArrayRecord> layout_;
  FoldOptions options_;
  std::optional<WeightedMean> arrays_;
  MetricMean metrics_;
  kernel::ExactSum weight_;
  std::vector<Pending> pending_;
  size_t pending_bytes_ = 0;
  FoldResult result_;
};

}  // namespace umbel::aggregate
