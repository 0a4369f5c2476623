#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "umbel/record/record.h"

namespace umbel {

// How much a reply counts in the weighted mean.
struct FoldOptions {
  // The metric of a reply that is its weight.
  std::string weight_key = "num-examples";
  // A weight made from all metrics of a reply; empty: the metric under `weight_key`.  Both hold for
  // the replies to evaluation as well.  A reply for which it throws is refused, like any bad one.
  std::function<double(const MetricRecord&)> weight;
  // No client counts more than this: larger weights are lowered to it.
  double weight_max = std::numeric_limits<double>::infinity();
  // A metric that fewer replies have is left out, as if none had it: a mean over one is that one's.
  // In a simulation only.
  uint64_t metric_replies_min = 1;
};

}  // namespace umbel
