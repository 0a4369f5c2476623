#include "umbel/strategy/fed_adagrad.h"

namespace umbel {

Strategy fed_adagrad(const FedAdagradOptions& options) {
  Strategy strategy = strategy_with("fed-adagrad", options);
  strategy.optimizer = ServerOptimizer::adagrad(
      {.learning_rate = options.learning_rate, .beta_1 = options.beta_1, .tau = options.tau});
  return strategy;
}

}  // namespace umbel
