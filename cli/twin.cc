#include "twin.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr const char* kTwin = "twin";
constexpr const char* kProcess = "local-process";
constexpr const char* kEnergy = "energy";

Work work_or_none(const RunSubject& run) { return work_of(run.run, run.records).value_or(Work{}); }

bool is_as_good(const std::string& metric, double value, double than) {
  return metric == "loss" ? value <= than : value >= than;
}

double examples_until(const RunSubject& run, int64_t last) {
  double sum = 0;
  for (const RoundEvent& round : run.rounds) {
    if (round.round > last) break;
    sum += find_real(round.train, "num-examples").value_or(0);
  }
  return sum;
}

// Of one round.
double most_examples(const RunSubject& run) {
  double most = 0;
  for (const RoundEvent& round : run.rounds) {
    most = std::max(most, find_real(round.train, "num-examples").value_or(0));
  }
  return most;
}

void find_reached(const RoundSeries& series, const RunSubject& run, Twin& twin) {
  for (size_t i = 0; i != series.size(); ++i) {
    if (!is_as_good(twin.metric, series.values[i], twin.federated)) continue;
    twin.rounds_to_reach = static_cast<int64_t>(series.rounds[i]);
    twin.examples_to_reach = examples_until(run, *twin.rounds_to_reach);
    return;
  }
}

std::string count_of(double count) {
  return count_text(static_cast<int64_t>(std::clamp(count, 0.0, 9e18)));
}

Json json_of(const Energy& energy, const EnergyFactors& factors) {
  return {{"watt-hours", energy.total_wh()}, {"compute", energy.compute_wh},
          {"idle", energy.idle_wh},          {"cooling", energy.cooling_wh},
          {"network", energy.network_wh},    {"grams-co2", energy.grams(factors)}};
}

}  // namespace

double examples_of(const RunSubject& run) { return examples_until(run, INT64_MAX); }

std::optional<Work> work_of(const Run& run, const std::vector<RecordEvent>& records) {
  std::optional<Work> work;
  for (const RecordEvent& record : records) {
    if (record.name != kProcess) continue;
    const auto seconds = find_real(record.metrics, "cpu-seconds");
    if (!seconds || !std::isfinite(*seconds) || *seconds < 0) continue;
    work.emplace().cpu_seconds = *seconds;
    work->network_bytes = static_cast<double>(run.bytes_down) + static_cast<double>(run.bytes_up);
  }
  if (!work) return work;
  for (const RecordEvent& record : records) {
    if (record.name == kEnergy) work->measured_joules = find_real(record.metrics, "package-joules");
  }
  return work;
}

Status require_comparable(const RunSubject& federated) {
  if (!(examples_of(federated) >= 1)) {
    return failed_precondition(
        "no twin: the rounds do not tell on how many examples they trained; clients reply with "
        "num-examples");
  }
  if (federated.accuracy.empty() && federated.loss.empty()) {
    return failed_precondition(
        "no twin: the rounds have neither \"accuracy\" nor \"loss\" of the global model to compare "
        "it "
        "by; give run_rounds() an evaluate function that returns one of them");
  }
  return absl::OkStatus();
}

Result<Twin> compare_with_twin(const RunSubject& federated, const RunSubject& twin) {
  Twin all;
  if (most_examples(twin) < most_examples(federated)) {
    return failed_precondition(
        "no twin: with one client the app has {} examples, and a round of the federation trained "
        "on "
        "{}: its data are not pooled where partition 0 of 1 is asked for; an app that cannot say "
        "so "
        "has ServerApp::no_twin()",
        count_of(most_examples(twin)), count_of(most_examples(federated)));
  }
  const bool by_accuracy = !federated.accuracy.empty() && !twin.accuracy.empty();
  const RoundSeries& ours = by_accuracy ? federated.accuracy : federated.loss;
  const RoundSeries& theirs = by_accuracy ? twin.accuracy : twin.loss;
  if (ours.empty() || theirs.empty()) {
    return failed_precondition(
        "the twin cannot be compared: the rounds have neither accuracy nor loss of the global "
        "model; give run_rounds() an evaluate function");
  }
  all.run = twin.run.id;
  all.metric = by_accuracy ? "accuracy" : "loss";
  all.federated = ours.last();
  all.central = theirs.last();
  all.gap = by_accuracy ? all.central - all.federated : all.federated - all.central;
  all.rounds = static_cast<int64_t>(twin.rounds.size());
  all.federated_examples = examples_of(federated);
  all.examples = examples_of(twin);
  find_reached(theirs, twin, all);
  all.federated_work = work_or_none(federated);
  all.work = work_or_none(twin);
  // To train centrally all data travel once; that the twin's one client is no network is known.
  all.work.network_bytes = federated.record("data", "bytes").value_or(0);
  return all;
}

RecordEvent record_of(const Twin& twin) {
  RecordEvent record{kTwin, {}};
  MetricRecord& metrics = record.metrics;
  metrics.set("run-id", twin.run);
  metrics.set("by-accuracy", int64_t{twin.metric == "accuracy"});
  metrics.set("federated", twin.federated);
  metrics.set("central", twin.central);
  metrics.set("gap", twin.gap);
  metrics.set("rounds", twin.rounds);
  metrics.set("federated-examples", twin.federated_examples);
  metrics.set("examples", twin.examples);
  if (twin.rounds_to_reach) metrics.set("rounds-to-reach", *twin.rounds_to_reach);
  if (twin.examples_to_reach) metrics.set("examples-to-reach", *twin.examples_to_reach);
  const auto add = [&](const char* prefix, const Work& work) {
    metrics.set(fmt::format("{}cpu-seconds", prefix), work.cpu_seconds);
    metrics.set(fmt::format("{}bytes", prefix), work.network_bytes);
    if (work.measured_joules) {
      metrics.set(fmt::format("{}package-joules", prefix), *work.measured_joules);
    }
  };
  add("federated-", twin.federated_work);
  add("", twin.work);
  return record;
}

std::optional<Twin> twin_of(const std::vector<RecordEvent>& records) {
  for (const RecordEvent& record : records) {
    if (record.name != kTwin) continue;
    const auto real = [&](std::string_view name) { return find_real(record.metrics, name); };
    const auto whole = [&](std::string_view name) {
      return static_cast<int64_t>(std::clamp(real(name).value_or(0), 0.0, 9e18));
    };
    Twin twin;
    twin.run = whole("run-id");
    twin.metric = whole("by-accuracy") != 0 ? "accuracy" : "loss";
    twin.federated = real("federated").value_or(0);
    twin.central = real("central").value_or(0);
    twin.gap = real("gap").value_or(0);
    twin.rounds = whole("rounds");
    twin.federated_examples = real("federated-examples").value_or(0);
    twin.examples = real("examples").value_or(0);
    if (real("rounds-to-reach")) twin.rounds_to_reach = whole("rounds-to-reach");
    twin.examples_to_reach = real("examples-to-reach");
    twin.federated_work = {real("federated-cpu-seconds").value_or(0),
                           real("federated-package-joules"), real("federated-bytes").value_or(0)};
    twin.work = {real("cpu-seconds").value_or(0), real("package-joules"),
                 real("bytes").value_or(0)};
    return twin;
  }
  return std::nullopt;
}

std::string text_of(const Twin& twin, const EnergyFactors& factors) {
  std::string text = fmt::format(
      "  twin        run {}, on the pooled data: {} {}, {} {} than the federation's {}; ", twin.run,
      twin.metric, metric_text(twin.central), metric_text(std::fabs(twin.gap)),
      twin.gap >= 0 ? "better" : "worse", metric_text(twin.federated));
  text += twin.rounds_to_reach
              ? fmt::format("it reached that in round {} of {}, after {} of {} examples",
                            *twin.rounds_to_reach, twin.rounds,
                            count_of(twin.examples_to_reach.value_or(0)), count_of(twin.examples))
              : fmt::format("it never reached that in {} rounds", twin.rounds);
  const Energy ours = device_energy(twin.federated_work, factors);
  const Energy theirs = centre_energy(twin.work, factors);
  return text + fmt::format(
                    "\n  energy      an estimate: federated {} and {} of CO2, centralised "
                    "{} and {}; its factors are in the report",
                    watt_hours_text(ours.total_wh()), grams_text(ours.grams(factors)),
                    watt_hours_text(theirs.total_wh()), grams_text(theirs.grams(factors)));
}

Json json_of(const Twin& twin, const EnergyFactors& factors) {
  const auto or_null = [](const auto& value) { return value ? Json(*value) : Json(nullptr); };
  return {{"run-id", twin.run},
          {"metric", twin.metric},
          {"federated", twin.federated},
          {"central", twin.central},
          {"gap", twin.gap},
          {"rounds", twin.rounds},
          {"examples", twin.examples},
          {"federated-examples", twin.federated_examples},
          {"rounds-to-reach", or_null(twin.rounds_to_reach)},
          {"examples-to-reach", or_null(twin.examples_to_reach)},
          {"bytes", twin.work.network_bytes},
          {"federated-bytes", twin.federated_work.network_bytes},
          {"energy-estimate",
           {{"federated", json_of(device_energy(twin.federated_work, factors), factors)},
            {"central", json_of(centre_energy(twin.work, factors), factors)}}}};
}

}  // namespace umbel::cli
