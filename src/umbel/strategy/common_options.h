#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "umbel/strategy/strategy.h"

// The options that every named strategy has.  A macro, because C++ has no designated initialisers
// for inherited members and fed_adam({.clients_train = 10, .tau = 1e-2}) is to be one list.
//
//   fraction_train, clients_train        who trains: a share of all clients (at least one), or
//                                        that many, which wins
//   fraction_evaluate, clients_evaluate  who evaluates; by default nobody
//   weight_key, weight, weight_max       how much a reply counts (FoldOptions)
//   quorum, deadline, wrap_up,           as in Strategy
//   evaluate_every
#define UMBEL_COMMON_OPTIONS                                   \
  double fraction_train = 1;                                   \
  std::optional<size_t> clients_train = {};                    \
  double fraction_evaluate = 0;                                \
  std::optional<size_t> clients_evaluate = {};                 \
  std::string weight_key = "num-examples";                     \
  std::function<double(const MetricRecord&)> weight = {};      \
  double weight_max = std::numeric_limits<double>::infinity(); \
  double quorum = 0;                                           \
  std::optional<std::chrono::duration<double>> deadline = {};  \
  std::optional<std::chrono::duration<double>> wrap_up = {};   \
  size_t evaluate_every = 1

namespace umbel {

inline Sampler sampler_of(double fraction, std::optional<size_t> clients) {
  return clients ? Sampler::count(*clients) : Sampler::fraction(fraction, fraction > 0 ? 1 : 0);
}

// A strategy that averages, with the options above.
template <class Options>
Strategy strategy_with(std::string name, const Options& options) {
  return {.name = std::move(name),
          .train = sampler_of(options.fraction_train, options.clients_train),
          .evaluate = sampler_of(options.fraction_evaluate, options.clients_evaluate),
          .fold = {.weight_key = options.weight_key,
                   .weight = options.weight,
                   .weight_max = options.weight_max},
          .optimizer = ServerOptimizer::average(),
          .client_config = {},
          .quorum = options.quorum,
          .deadline = options.deadline,
          .wrap_up = options.wrap_up,
          .evaluate_every = options.evaluate_every};
}

}  // namespace umbel
