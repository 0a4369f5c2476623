#pragma once

#include "umbel/strategy/common_options.h"

namespace umbel {

struct FedAvgMOptions {
  UMBEL_COMMON_OPTIONS;
  double learning_rate = 1;  // the server's
  double beta = 0.9;         // how much of the last step goes into the next
};

// Federated averaging with momentum on the server (Hsu, Qi and Brown, arXiv 1909.06335); the
// formula is MomentumStep's.
Strategy fed_avg_m(const FedAvgMOptions& options = {});

}  // namespace umbel
