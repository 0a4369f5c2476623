#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "umbel/app/context.h"
#include "umbel/app/grid.h"
#include "umbel/app/groups.h"
#include "umbel/app/sliced_rounds.h"
#include "umbel/strategy/rounds.h"

namespace umbel {

struct RoundsOptions {
  uint64_t rounds = 1;
  // Ends the run early: a metric that is good enough, or one that has stopped getting better.
  std::vector<Target> targets = {};
  std::vector<Plateau> plateaus = {};
  // The server's own evaluation of the global model: "accuracy", "loss", ...  Called after the
  // rounds that Strategy::evaluate_every selects, and on request for the initial model, as round 0.
  std::function<MetricRecord(uint64_t round, const ArrayRecord& arrays)> evaluate = {};
  bool evaluate_initial = false;
  // Sends "train.NAME" and "evaluate.NAME" instead of "train" and "evaluate".
  std::string action = "";
  // What each tensor is to the federation, and what of them travels in a round (docs/roles.md).
  // Clients hold to the same roles by ClientApp::model().
  Roles roles = {};
  Payload payload = {};
  // With tensors of the role slice: how wide each client's model is (strategy/slices.h).
  ClientWidth width = {};
  // Federated evaluation's metrics for each category of an attribute as well: "accuracy@women".
  std::optional<Groups> groups = {};
};

struct RoundsResult {
  ArrayRecord arrays;   // the final global model, without private tensors
  uint64_t rounds = 0;  // that were run
  std::string stopped_because;
  // The last value of each metric, under the names of all_metrics().
  MetricRecord metrics;
  std::vector<RoundReport> history;
};

// A second call in the same run goes on with the numbers of the rounds.
//
// Where the runtime keeps checkpoints (a SuperLink does), each round's model, optimizer state and
// report are kept, and a program that is started again after a crash goes on after the last
// finished round: the remaining rounds are the same bit by bit.  Code before and between the calls
// runs again, so it should not depend on anything but the run.
//
// In a simulation with a population rounds take virtual time: clients are drawn from those who are
// there when a phase begins, and while nobody is, time passes.  The rounds end early when the time
// of a trace that stops is over.
//
// In the centralised twin of a run (Context::is_twin()) the one client trains alone, its model is
// taken as it is, and the rounds end, whatever `rounds`, targets and plateaus say, once as many
// examples were trained on as in the run: by the metric that weighs replies.
//
// Runs a strategy's rounds on a federation (the loop of strategy/rounds.h) and reports each to the
// run's history.  umbel::Error for a strategy that does not fit the federation, before anything is
// sent, or a checkpoint of another run; ABORTED when rounds fail in a row; CANCELLED when the run
// is stopped.
RoundsResult run_rounds(Grid& grid, const Context& context, const Strategy& strategy,
                        ArrayRecord initial, const RoundsOptions& options);

}  // namespace umbel
