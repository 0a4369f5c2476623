#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "umbel/record/array.h"

namespace umbel::data {

// The examples of a data set, sorted by label: one pool for each label that occurs, in ascending
// order, and within it the examples' indices in ascending order.
class LabelPools {
 public:
  // O(n + classes).  INVALID_ARGUMENT unless `labels` is int32[n] with n from 1 to kExamplesMax and
  // values from 0 to kClassesMax - 1.
  static Result<LabelPools> make(const Array& labels);

  size_t pools() const { return starts_.size() - 1; }
  size_t examples() const { return order_.size(); }
  size_t size(size_t pool) const { return starts_[pool + 1] - starts_[pool]; }
  std::span<const uint32_t> pool(size_t pool) const {
    return {order_.data() + starts_[pool], size(pool)};
  }
  std::span<uint32_t> pool(size_t pool) { return {order_.data() + starts_[pool], size(pool)}; }
  // All examples, pool after pool.
  std::span<const uint32_t> sorted() const { return order_; }

 private:
  std::vector<uint32_t> order_;
  std::vector<uint32_t> starts_;
};

}  // namespace umbel::data
