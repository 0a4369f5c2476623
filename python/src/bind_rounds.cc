#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <utility>

#include "bind_strategy.h"
#include "convert.h"
#include "gil.h"
#include "umbel/base/rng.h"
#include "umbel/population/world.h"
#include "umbel/strategy/rounds.h"
#include "umbel/strategy/sampler.h"

namespace umbel::python {

namespace {

// The clients that Rounds would ask in this round.
std::vector<uint64_t> draw(nb::handle grid_handle, nb::handle context_handle, uint64_t round,
                           bool training, uint64_t count) {
  Grid& grid = grid_of(grid_handle);
  const auto kind = training ? Ask::Kind::kTrain : Ask::Kind::kEvaluate;
  const uint64_t seed =
      derive_seed(context_of(context_handle).run_seed(), {round, static_cast<uint64_t>(kind)});
  const WithoutGil without_gil;
  const Sampler sampler = Sampler::count(count);
  if (grid.world() == nullptr) {
    return or_throw(sampler.draw(Pool{grid.node_count(), nullptr, {}}, seed)).clients;
  }
  or_throw(grid.world()->await_anybody());
  const Pool pool = grid.world()->pool();
  return or_throw(sampler.draw(pool, seed)).clients;
}

// A dict with fields of RoundReport under their names; those that are absent keep their defaults.
RoundReport report_from(const nb::dict& fields) {
  RoundReport report;
  report.round = nb::cast<uint64_t>(fields["round"]);
  report.seconds = nb::cast<double>(fields["seconds"]);
  report.clients = nb::cast<uint64_t>(fields["clients"]);
  report.bytes_down = nb::cast<uint64_t>(fields["bytes_down"]);
  report.bytes_up = nb::cast<uint64_t>(fields["bytes_up"]);
  report.train = metrics_from(fields["train"]);
  report.evaluate = metrics_from(fields["evaluate"]);
  report.server = metrics_from(fields["server"]);
  report.note = nb::cast<std::string>(fields["note"]);
  for (const nb::handle item : fields["failures"]) {
    RoundReport::Failure failure{nb::cast<uint64_t>(item[0]), nb::cast<std::string>(item[1]),
                                 nb::cast<std::string>(item[2])};
    ++report.failures;
    ++report.failure_reasons[failure.kind];
    if (report.failure_samples.size() < 3) report.failure_samples.push_back(std::move(failure));
  }
  return report;
}

// Tells the run of a round; returns all its metrics under the names that reports know.
nb::object round_finished(nb::handle context_handle, const nb::dict& fields) {
  const Context& context = context_of(context_handle);
  const RoundReport report = report_from(fields);
  for (const MetricRecord* metrics : {&report.train, &report.evaluate, &report.server}) {
    or_throw(check_metric_count(*metrics));
  }
  const MetricRecord all = all_metrics(report);
  {
    const WithoutGil without_gil;
    context.runtime().round_finished(report);
  }
  return to_python(all);
}

uint64_t begin(nb::handle context_handle, uint64_t rounds) {
  const Context& context = context_of(context_handle);
  const WithoutGil without_gil;
  const uint64_t before = context.runtime().last_round();
  if (!context.is_twin()) context.runtime().rounds_planned(before + rounds);
  return before + 1;
}

void round_model(nb::handle context_handle, uint64_t round, nb::handle arrays_handle) {
  const Context& context = context_of(context_handle);
  const ArrayRecord arrays = kept(arrays_from(arrays_handle));
  const WithoutGil without_gil;
  context.runtime().round_model(round, arrays);
}

}  // namespace

void bind_rounds(nb::module_& module) {
  using nb::arg;
  nb::class_<Stopping>(module, "Stopping", "Decides after each round whether the run is over.")
      .def(
          "__init__",
          [](Stopping* self, uint64_t rounds, nb::handle targets, nb::handle plateaus) {
            Stopping stopping({.rounds = rounds,
                               .targets = targets_from(targets),
                               .plateaus = plateaus_from(plateaus)});
            or_throw(stopping.validate());
            new (self) Stopping(std::move(stopping));
          },
          arg("rounds"), arg("targets"), arg("plateaus"))
      .def(
          "after_round",
          [](Stopping& self, uint64_t round, nb::handle metrics, bool evaluated) {
            return or_throw(self.after_round(round, metrics_from(metrics), evaluated));
          },
          arg("round"), arg("metrics"), arg("evaluated"));
  module.def("draw_clients", &draw, arg("grid"), arg("context"), arg("round"), arg("training"),
             arg("count"));
  module.def(
      "has_population", [](nb::handle grid) { return grid_of(grid).world() != nullptr; },
      arg("grid"));
  module.def("rounds_begin", &begin, arg("context"), arg("rounds"));
  module.def(
      "twin_examples", [](nb::handle context) { return context_of(context).twin_examples(); },
      arg("context"));
  module.def("round_finished", &round_finished, arg("context"), arg("report"),
             nb::sig("def round_finished(context: Any, report: dict[str, Any]) -> Any"));
  module.def("round_model", &round_model, arg("context"), arg("round"), arg("arrays"));
  module.def(
      "ended_early",
      [](nb::handle context, const std::string& reason) {
        context_of(context).runtime().ended_early(reason);
      },
      arg("context"), arg("reason"));
}

}  // namespace umbel::python
