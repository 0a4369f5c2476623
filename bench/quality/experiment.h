#pragma once

#include <string>
#include <vector>

#include "umbel/umbel.h"

namespace umbel::bench {

// One federation learning Fashion-MNIST: its settings, by name, and what came of it.  The settings
// and their meaning:
//
//   strategy      fed-avg, fed-prox, fed-adam, fed-yogi, fed-avg-m, or scaffold (scaffold.h)
//   split         iid; dirichlet, with alpha; shards, with labels (how many shards a client holds)
//   clients, per-round, rounds, epochs, batch, rate     rate: of the clients' SGD
//   server-rate, tau    of fed-adam and fed-yogi; server-rate and beta of fed-avg-m
//   mu            of fed-prox
//   seed          of initial weights, split, draws of clients, order of examples
//   validate      true: train on the first 50,000 training images, evaluate on the other 10,000;
//                 false: train on all, evaluate on the test images
//   evaluate-every  rounds
//   threads
struct Outcome {
  struct Point {
    uint64_t round;
    double accuracy;
    double loss;
  };
  std::vector<Point> curve;
  std::string model_sha256;
};

// The defaults of all settings.
ConfigRecord default_settings();

// umbel::Error for a setting that makes no sense.  A run whose model is no longer finite ends
// early: the curve then has the accuracies up to there.
Outcome run_experiment(const RunConfig& settings);

}  // namespace umbel::bench
