#include "doctor_run.h"

#include <algorithm>
#include <cmath>

#include "text_format.h"

namespace umbel::cli {

namespace {

RoundSeries series_of(const std::vector<RoundEvent>& rounds, MetricRecord RoundEvent::*source,
                      const char* name, const char* source_name) {
  RoundSeries series;
  series.source = source_name;
  for (const RoundEvent& round : rounds) {
    if (const auto value = find_real(round.*source, name)) {
      series.rounds.push_back(static_cast<double>(round.round));
      series.values.push_back(*value);
    }
  }
  return series;
}

RoundSeries global_series(const std::vector<RoundEvent>& rounds, const char* name) {
  RoundSeries server = series_of(rounds, &RoundEvent::server, name, "server");
  return server.empty() ? series_of(rounds, &RoundEvent::evaluate, name, "federated") : server;
}

// A round says how many were trained and how many failed, in training and in evaluation; not how
// many were evaluated, of whom there are no more than clients.
Asked asked_in(const std::vector<RoundEvent>& rounds, const Run& run) {
  Asked asked;
  double known = 0;
  for (const RoundEvent& round : rounds) {
    known += static_cast<double>(round.clients) + static_cast<double>(round.failures);
    if (round.evaluate.empty()) continue;
    asked.count += static_cast<double>(run.nodes);
    asked.exact = false;
  }
  asked.count +=
      std::max(known, static_cast<double>(run.clients) + static_cast<double>(run.failures));
  return asked;
}

}  // namespace

bool RoundSeries::all_finite() const {
  return std::ranges::all_of(values, [](double value) { return std::isfinite(value); });
}

size_t RoundSeries::least() const {
  size_t at = 0;
  for (size_t i = 1; i != values.size(); ++i) {
    if (values[i] < values[at] || std::isnan(values[at])) at = i;
  }
  return at;
}

size_t RoundSeries::greatest() const {
  size_t at = 0;
  for (size_t i = 1; i != values.size(); ++i) {
    if (values[i] > values[at] || std::isnan(values[at])) at = i;
  }
  return at;
}

double RoundSeries::mean(double from, double to) const {
  const auto count = static_cast<double>(values.size());
  const auto begin = static_cast<size_t>(from * count);
  const size_t end = std::clamp(static_cast<size_t>(to * count), begin + 1, values.size());
  double sum = 0;
  for (size_t i = begin; i != end; ++i) sum += values[i];
  return sum / static_cast<double>(end - begin);
}

std::optional<double> RunSubject::record(std::string_view name, std::string_view metric) const {
  for (const RecordEvent& one : records) {
    if (one.name != name) continue;
    const auto value = find_real(one.metrics, metric);
    if (value && std::isfinite(*value)) return value;
  }
  return std::nullopt;
}

std::optional<double> RunSubject::setting(std::string_view key) const {
  const auto at = std::ranges::find(settings, key, &Setting::key);
  if (at == settings.end()) return std::nullopt;
  if (const auto* integer = std::get_if<int64_t>(&at->value.base())) {
    return static_cast<double>(*integer);
  }
  const auto* real = std::get_if<double>(&at->value.base());
  return real == nullptr ? std::nullopt : std::optional(*real);
}

RunSubject run_subject(Run run, std::vector<RoundEvent> rounds, std::vector<Setting> settings,
                       std::vector<RecordEvent> records, std::vector<ArtifactEvent> artifacts) {
  RunSubject subject;
  subject.run = std::move(run);
  std::erase_if(rounds, [](const RoundEvent& round) { return round.round == 0; });
  subject.rounds = std::move(rounds);
  subject.asked = asked_in(subject.rounds, subject.run);
  subject.settings = std::move(settings);
  subject.records = std::move(records);
  subject.artifacts = std::move(artifacts);
  subject.loss = global_series(subject.rounds, "loss");
  subject.accuracy = global_series(subject.rounds, "accuracy");
  subject.train_loss = series_of(subject.rounds, &RoundEvent::train, "loss", "training");
  subject.federated_accuracy =
      series_of(subject.rounds, &RoundEvent::evaluate, "accuracy", "federated");
  return subject;
}

Result<RunSubject> look_at_run(History& history, const Run& run) {
  UMBEL_ASSIGN_OR_RETURN(auto rounds, history.rounds(run.id));
  UMBEL_ASSIGN_OR_RETURN(auto settings, history.settings(run.id));
  UMBEL_ASSIGN_OR_RETURN(auto records, history.records(run.id));
  UMBEL_ASSIGN_OR_RETURN(auto artifacts, history.artifacts(run.id));
  return run_subject(run, std::move(rounds), std::move(settings), std::move(records),
                     std::move(artifacts));
}

const RunRules& run_rules() {
  static const RunRules rules({curve_rules(), drift_rules(), client_rules()});
  return rules;
}

}  // namespace umbel::cli
