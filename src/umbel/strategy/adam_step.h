#pragma once

#include <cmath>
#include <cstddef>
#include <string_view>

#include "umbel/strategy/step_limits.h"

namespace umbel {

// FedAdam (Reddi et al., ICLR 2021, arXiv 2003.00295, algorithm 2):
//   m <- beta_1 m + (1 - beta_1) delta
//   v <- beta_2 v + (1 - beta_2) delta^2
//   x <- x + learning_rate m / (sqrt(v) + tau),   delta = mean - x.
// As in the paper there is no bias correction.  m begins at 0; the paper asks for v >= tau^2 at the
// beginning, here it is tau^2.
struct AdamStep {
  double learning_rate = 0.01;
  double beta_1 = 0.9;
  double beta_2 = 0.99;
  double tau = 1e-3;

  static constexpr std::string_view kName = "adam";
  static constexpr size_t kMoments = 2;
  Status validate() const {
    UMBEL_RETURN_IF_ERROR(require_positive("learning_rate", learning_rate));
    UMBEL_RETURN_IF_ERROR(require_decay("beta_1", beta_1));
    UMBEL_RETURN_IF_ERROR(require_decay("beta_2", beta_2));
    return require_positive("tau", tau);
  }
  double initial_v() const { return tau * tau; }
  double operator()(double delta, double& m, double& v) const {
    m = beta_1 * m + (1 - beta_1) * delta;
    v = beta_2 * v + (1 - beta_2) * delta * delta;
    return learning_rate * m / (std::sqrt(v) + tau);
  }
};

}  // namespace umbel
