#include "umbel/strategy/fed_avg_m.h"

namespace umbel {

Strategy fed_avg_m(const FedAvgMOptions& options) {
  Strategy strategy = strategy_with("fed-avg-m", options);
  strategy.optimizer =
      ServerOptimizer::momentum({.learning_rate = options.learning_rate, .beta = options.beta});
  return strategy;
}

}  // namespace umbel
