#pragma once

#include "umbel/strategy/common_options.h"

namespace umbel {

struct FedAdamOptions {
  UMBEL_COMMON_OPTIONS;
  double learning_rate = 0.01;  // the server's, about the size of a weight's first steps
  double beta_1 = 0.9;
  double beta_2 = 0.99;
  double tau = 1e-3;  // the smaller, the more adaptive
};

// FedAdam (Reddi et al., ICLR 2021): Adam on the server; the formula is AdamStep's.
Strategy fed_adam(const FedAdamOptions& options = {});

}  // namespace umbel
