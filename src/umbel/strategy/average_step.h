#pragma once

#include <cstddef>
#include <string_view>

#include "umbel/strategy/step_limits.h"

namespace umbel {

// x <- x + learning_rate * delta, where delta = mean - x.  With rate 1 the new model is the mean:
// federated averaging (McMahan et al., AISTATS 2017).
struct AverageStep {
  double learning_rate = 1;

  static constexpr std::string_view kName = "average";
  static constexpr size_t kMoments = 0;
  Status validate() const { return require_positive("learning_rate", learning_rate); }
  double operator()(double delta, double&, double&) const { return learning_rate * delta; }
};

}  // namespace umbel
