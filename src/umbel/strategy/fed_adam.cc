#include "umbel/strategy/fed_adam.h"

namespace umbel {

Strategy fed_adam(const FedAdamOptions& options) {
  Strategy strategy = strategy_with("fed-adam", options);
  strategy.optimizer = ServerOptimizer::adam({.learning_rate = options.learning_rate,
                                              .beta_1 = options.beta_1,
                                              .beta_2 = options.beta_2,
                                              .tau = options.tau});
  return strategy;
}

}  // namespace umbel
