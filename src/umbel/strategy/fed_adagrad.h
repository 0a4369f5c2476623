#pragma once

#include "umbel/strategy/common_options.h"

namespace umbel {

struct FedAdagradOptions {
  UMBEL_COMMON_OPTIONS;
  double learning_rate = 0.1;  // the server's
  double beta_1 = 0;
  double tau = 1e-3;  // the smaller, the more adaptive
};

// FedAdagrad (Reddi et al., ICLR 2021): Adagrad on the server; the formula is AdagradStep's.
Strategy fed_adagrad(const FedAdagradOptions& options = {});

}  // namespace umbel
