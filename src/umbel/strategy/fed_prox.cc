#include "umbel/strategy/fed_prox.h"

namespace umbel {

Strategy fed_prox(const FedProxOptions& options) {
  Strategy strategy = strategy_with("fed-prox", options);
  strategy.client_config.set(kProximalMuKey, options.proximal_mu);
  return strategy;
}

}  // namespace umbel
