#pragma once

#include "umbel/strategy/common_options.h"

namespace umbel {

struct FedAvgOptions {
  UMBEL_COMMON_OPTIONS;
};

// Federated averaging (McMahan et al., AISTATS 2017): the next model is the mean of the clients'
// models, weighted by their numbers of examples.
Strategy fed_avg(const FedAvgOptions& options = {});

}  // namespace umbel
