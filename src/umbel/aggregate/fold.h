#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "umbel/aggregate/fold_options.h"
#include "umbel/aggregate/fold_result.h"
#include "umbel/aggregate/tally.h"
#include "umbel/aggregate/weighted_mean.h"
#include "umbel/record/layout.h"
#include "umbel/record/message.h"

namespace umbel::aggregate {

// Folds replies to one message type: arrays, metrics and failures together, so that a reply counts
// in all of them or in none.  A partial aggregate: add, merge, finish, in any order with the same
// bytes.  A reply's arrays are held until a few have gathered (kBatchMax replies or kBatchBytesMax
// bytes), folded in one pass, and dropped.  One thread at a time.
class Fold {
 public:
  static constexpr size_t kBatchMax = 8;
  static constexpr size_t kBatchBytesMax = size_t{4} << 20;

  // `layout`: the arrays that a reply must have; nullptr if only metrics are asked for.
  Fold(std::shared_ptr<const Layout> layout, FoldOptions options);
  Fold(const std::shared_ptr<const ArrayRecord>& layout, FoldOptions options);

  // A reply, or its error.  What does not fit the round is counted as a failure, not returned.
  // `weight`: as reply_weight() has it.
  void add(const Message& reply, std::optional<double> weight = {});
  void fail(NodeId node, MessageError error) { tally_.fail(node, std::move(error)); }
  // Folds the replies that are still held.
  void flush();
  void merge(Fold&& other);  // of the same layout and options
  FoldResult finish(Parallel& parallel);

  // Both after flush(); the fold is spent by taking them out.
  Tally& tally() { return tally_; }
  std::optional<WeightedMean>& arrays() { return arrays_; }

 private:
  struct Pending {
    NodeId node;
    std::shared_ptr<const RecordDict> content;
    const ArrayRecord* arrays;
    const MetricRecord* metrics;
    double weight;
  };
  Result<Pending> accept(const Message& reply, std::optional<double> weight) const;
  void count(const Pending& pending);

  FoldOptions options_;
  std::optional<WeightedMean> arrays_;
  Tally tally_;
  std::vector<Pending> pending_;
  size_t pending_bytes_ = 0;
};

}  // namespace umbel::aggregate
