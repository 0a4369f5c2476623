#include <nanobind/stl/string.h>

#include <utility>

#include "bind_strategy.h"
#include "convert.h"
#include "gil.h"
#include "umbel/app/run_rounds.h"
#include "umbel/strategy/server_optimizer.h"

namespace umbel::python {

namespace {

using Seconds = std::chrono::duration<double>;

template <class T>
T field(const nb::dict& fields, const char* name) {
  return nb::cast<T>(fields[name]);
}

std::optional<Seconds> seconds(const nb::dict& fields, const char* name) {
  const nb::handle value = fields[name];
  return value.is_none() ? std::nullopt : std::optional(Seconds(nb::cast<double>(value)));
}

}  // namespace

std::vector<Target> targets_from(nb::handle list) {
  std::vector<Target> targets;
  for (const nb::handle item : list) {
    targets.push_back({nb::cast<std::string>(item[0]),
                       nb::cast<bool>(item[1]) ? Compare::kAtLeast : Compare::kAtMost,
                       nb::cast<double>(item[2])});
  }
  return targets;
}

std::vector<Plateau> plateaus_from(nb::handle list) {
  std::vector<Plateau> plateaus;
  for (const nb::handle item : list) {
    plateaus.push_back({nb::cast<std::string>(item[0]), nb::cast<size_t>(item[1]),
                        nb::cast<double>(item[2]),
                        nb::cast<bool>(item[3]) ? Better::kHigher : Better::kLower});
  }
  return plateaus;
}

namespace {

Strategy strategy_from(const nb::dict& fields) {
  Strategy strategy;
  strategy.name = field<std::string>(fields, "name");
  strategy.train = Sampler::count(field<size_t>(fields, "train"));
  strategy.evaluate = Sampler::count(field<size_t>(fields, "evaluate"));
  strategy.fold.weight_key = field<std::string>(fields, "weight_key");
  strategy.optimizer = field<ServerOptimizer>(fields, "optimizer");
  strategy.client_config = config_from(fields["train_config"]);
  strategy.evaluate_config = config_from(fields["evaluate_config"]);
  strategy.round_keys = {kServerRoundKey};
  strategy.quorum = field<double>(fields, "quorum");
  strategy.deadline = seconds(fields, "deadline");
  strategy.wrap_up = seconds(fields, "wrap_up");
  strategy.evaluate_every = field<size_t>(fields, "evaluate_every");
  return strategy;
}

RoundsOptions options_from(const nb::dict& fields) {
  RoundsOptions options;
  options.rounds = field<uint64_t>(fields, "rounds");
  options.targets = targets_from(fields["targets"]);
  options.plateaus = plateaus_from(fields["plateaus"]);
  const nb::handle evaluate = fields["evaluate_fn"];
  if (evaluate.is_none()) return options;
  options.evaluate_initial = true;
  options.evaluate = [function = shared(evaluate)](uint64_t round, const ArrayRecord& arrays) {
    const nb::gil_scoped_acquire gil;
    const nb::object measured = (*function)(round, to_python(arrays));
    return measured.is_none() ? MetricRecord() : metrics_from(measured);
  };
  return options;
}

nb::dict run(nb::handle grid_handle, nb::handle context_handle, const nb::dict& strategy_fields,
             nb::handle initial, const nb::dict& option_fields) {
  Grid& grid = grid_of(grid_handle);
  const Context& context = context_of(context_handle);
  const Strategy strategy = strategy_from(strategy_fields);
  const RoundsOptions options = options_from(option_fields);
  ArrayRecord model = kept(arrays_from(initial));
  const RoundsResult result = [&] {
    const WithoutGil without_gil;
    return run_rounds(grid, context, strategy, std::move(model), options);
  }();
  nb::dict answer;
  answer["arrays"] = to_python(result.arrays);
  answer["rounds"] = result.rounds;
  answer["stopped_because"] = result.stopped_because;
  answer["metrics"] = to_python(result.metrics);
  nb::list history;
  for (const RoundReport& report : result.history) history.append(to_python(report));
  answer["history"] = history;
  return answer;
}

}  // namespace

void bind_strategy(nb::module_& module) {
  bind_optimizer(module);
  bind_fold(module);
  bind_rounds(module);
  module.def("run_rounds", &run, nb::arg("grid"), nb::arg("context"), nb::arg("strategy"),
             nb::arg("initial"), nb::arg("options"),
             nb::sig("def run_rounds(grid: Any, context: Any, strategy: dict[str, Any], initial: "
                     "Any, options: dict[str, Any]) -> dict[str, Any]"),
             "Runs a strategy's rounds in the core; umbel.serverapp.strategy.Strategy.start().");
}

}  // namespace umbel::python
