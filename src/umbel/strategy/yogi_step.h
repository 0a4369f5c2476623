#pragma once

#include <cmath>
#include <cstddef>
#include <string_view>

#include "umbel/strategy/step_limits.h"

namespace umbel {

// FedYogi (Reddi et al., ICLR 2021, arXiv 2003.00295, algorithm 2): as FedAdam, but v moves towards
// delta^2 by an amount that does not depend on how far away v is:
//   v <- v - (1 - beta_2) delta^2 sign(v - delta^2),   sign(0) = 0.
struct YogiStep {
  double learning_rate = 0.01;
  double beta_1 = 0.9;
  double beta_2 = 0.99;
  double tau = 1e-3;

  static constexpr std::string_view kName = "yogi";
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
    const double square = delta * delta;
    const double sign = v > square ? 1 : v < square ? -1 : 0;
    v -= (1 - beta_2) * square * sign;
    return learning_rate * m / (std::sqrt(v) + tau);
  }
};

}  // namespace umbel
