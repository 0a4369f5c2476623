#include "umbel/strategy/fed_yogi.h"

namespace umbel {

Strategy fed_yogi(const FedYogiOptions& options) {
  Strategy strategy = strategy_with("fed-yogi", options);
  strategy.optimizer = ServerOptimizer::yogi({.learning_rate = options.learning_rate,
                                              .beta_1 = options.beta_1,
                                              .beta_2 = options.beta_2,
                                              .tau = options.tau});
  return strategy;
}

}  // namespace umbel
