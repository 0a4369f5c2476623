#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "convert.h"
#include "gil.h"
#include "umbel/app/evaluate_sites.h"

namespace umbel::python {

namespace {

nb::tuple to_tuple(const std::string& name, const SiteEstimate& estimate) {
  nb::object interval = nb::none();
  if (estimate.interval) {
    interval = nb::make_tuple(estimate.interval->first, estimate.interval->second);
  }
  return nb::make_tuple(name, estimate.sites, estimate.mean, interval, estimate.least,
                        estimate.greatest);
}

// A dict: see umbel/serverapp/_evaluation.py, which makes a SiteEvaluation of it.
nb::dict evaluate(nb::handle grid, nb::handle arrays, nb::handle config,
                  std::vector<uint64_t> node_ids, std::string action, std::string weight,
                  double confidence, nb::handle timeout, uint64_t sites_min) {
  Grid& core = grid_of(grid);
  const ArrayRecord model = kept(arrays_from(arrays));
  const SiteEvaluationOptions options{.nodes = std::move(node_ids),
                                      .config = config_from(config),
                                      .action = std::move(action),
                                      .weight = std::move(weight),
                                      .confidence = confidence,
                                      .deadline = deadline_from(timeout),
                                      .sites_min = sites_min};
  SiteEvaluation evaluation;
  {
    const WithoutGil release;
    evaluation = evaluate_sites(core, model, options);
  }
  nb::list estimates, sites, failures;
  for (const auto& [name, estimate] : evaluation.estimates) {
    estimates.append(to_tuple(name, estimate));
  }
  for (const SiteReply& site : evaluation.sites) {
    sites.append(nb::make_tuple(site.node.value(), to_python(site.metrics)));
  }
  for (const SiteFailure& failure : evaluation.failures) {
    failures.append(nb::make_tuple(failure.node.value(), number_of_error(failure.error.code),
                                   to_python(ConfigValue(failure.error.reason))));
  }
  nb::dict result;
  result["weight"] = evaluation.weight;
  result["estimates"] = estimates;
  result["sites"] = sites;
  result["failures"] = failures;
  result["metrics"] = to_python(evaluation.metrics());
  return result;
}

}  // namespace

void bind_evaluation(nb::module_& module) {
  module.def("evaluate_sites", evaluate, nb::arg("grid"), nb::arg("arrays"), nb::arg("config"),
             nb::arg("node_ids"), nb::arg("action"), nb::arg("weight"), nb::arg("confidence"),
             nb::arg("timeout").none(), nb::arg("sites_min"),
             nb::sig("def evaluate_sites(grid: object, arrays: object, config: object, "
                     "node_ids: list[int], action: str, weight: str, confidence: float, "
                     "timeout: float | None, sites_min: int) -> dict[str, typing.Any]"),
             "umbel.serverapp.evaluate_sites, as plain values.");
}

}  // namespace umbel::python
