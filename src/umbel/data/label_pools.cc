#include "umbel/data/label_pools.h"

#include <algorithm>

#include "umbel/data/dataset.h"

namespace umbel::data {

Result<LabelPools> LabelPools::make(const Array& labels) {
  if (labels.dtype() != DType::kInt32 || labels.shape().size() != 1) {
    return invalid_argument("labels are {}, expected int32[n]", labels.describe());
  }
  if (labels.size() < 1 || labels.size() > kExamplesMax) {
    return invalid_argument("{} examples, expected 1 to {}", labels.size(), kExamplesMax);
  }
  const auto values = labels.view<int32_t>();
  std::vector<uint32_t> next(static_cast<size_t>(kClassesMax), 0);  // first counts, then places
  for (size_t i = 0; i != values.size(); ++i) {
    if (values[i] < 0 || values[i] >= kClassesMax) {
      return invalid_argument("example {} has label {}, expected 0 to {}", i, values[i],
                              kClassesMax - 1);
    }
    ++next[static_cast<size_t>(values[i])];
  }
  LabelPools pools;
  pools.starts_.push_back(0);
  for (uint32_t& place : next) {
    if (place == 0) continue;
    const uint32_t start = pools.starts_.back();
    pools.starts_.push_back(start + place);
    place = start;
  }
  pools.order_.resize(values.size());
  for (size_t i = 0; i != values.size(); ++i) {
    pools.order_[next[static_cast<size_t>(values[i])]++] = static_cast<uint32_t>(i);
  }
  return pools;
}

}  // namespace umbel::data
