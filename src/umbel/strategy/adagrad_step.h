#pragma once

#include <cmath>
#include <cstddef>
#include <string_view>

#include "umbel/strategy/step_limits.h"

namespace umbel {

// FedAdagrad (Reddi et al., ICLR 2021, arXiv 2003.00295, algorithm 2): as FedAdam, but v is a sum
// that forgets nothing:
//   v <- v + delta^2.
// beta_1 = 0, the default, is Adagrad without momentum.
struct AdagradStep {
  double learning_rate = 0.1;
  double beta_1 = 0;
  double tau = 1e-3;

  static constexpr std::string_view kName = "adagrad";
  static constexpr size_t kMoments = 2;
  Status validate() const {
    UMBEL_RETURN_IF_ERROR(require_positive("learning_rate", learning_rate));
    UMBEL_RETURN_IF_ERROR(require_decay("beta_1", beta_1));
    return require_positive("tau", tau);
  }
  double initial_v() const { return tau * tau; }
  double operator()(double delta, double& m, double& v) const {
    m = beta_1 * m + (1 - beta_1) * delta;
    v += delta * delta;
    return learning_rate * m / (std::sqrt(v) + tau);
  }
};

}  // namespace umbel
