#pragma once

#include "umbel/strategy/common_options.h"

namespace umbel {

// The config key under which the client finds mu.
inline constexpr char kProximalMuKey[] = "proximal-mu";

struct FedProxOptions {
  UMBEL_COMMON_OPTIONS;
  double proximal_mu = 0.01;  // 0 is FedAvg
};

// FedProx (Li et al., MLSys 2020): federated averaging whose clients are held near the model that
// they received.  The server's side is FedAvg; every train message's config has "proximal-mu", and
// the client adds (mu / 2) * |w - w_received|^2 to its loss:
//   const double mu = message.config().real("proximal-mu");
//   gradient += mu * (weights - received);
// A client that ignores the key trains as in FedAvg.
Strategy fed_prox(const FedProxOptions& options = {});

}  // namespace umbel
