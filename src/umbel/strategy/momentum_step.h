#pragma once

#include <cstddef>
#include <string_view>

#include "umbel/strategy/step_limits.h"

namespace umbel {

// FedAvgM (Hsu, Qi and Brown, arXiv 1909.06335): m <- beta * m + delta, x <- x + learning_rate * m,
// where delta = mean - x (the paper's update has the other sign twice) and m begins at 0.
struct MomentumStep {
  double learning_rate = 1;
  double beta = 0.9;

  static constexpr std::string_view kName = "momentum";
  static constexpr size_t kMoments = 1;
  Status validate() const {
    UMBEL_RETURN_IF_ERROR(require_positive("learning_rate", learning_rate));
    return require_decay("beta", beta);
  }
  double operator()(double delta, double& m, double&) const {
    m = beta * m + delta;
    return learning_rate * m;
  }
};

}  // namespace umbel
