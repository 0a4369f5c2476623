#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "doctor_rule.h"
#include "history.h"

namespace umbel::cli {

// One number over the rounds that have it, in order.
struct RoundSeries {
  std::string source;  // "server", "federated" or "training"
  std::vector<double> rounds, values;

  bool empty() const { return values.empty(); }
  size_t size() const { return values.size(); }
  double first() const { return values.front(); }
  double last() const { return values.back(); }
  bool all_finite() const;
  // Index of the least or the greatest of the finite values; there has to be one.
  size_t least() const;
  size_t greatest() const;
  // Mean of the values from a share of the way on, 0 to 1, to another.
  double mean(double from, double to) const;
};

// How often clients were asked to train or to evaluate.
struct Asked {
  double count = 0;
  bool exact = true;  // else it is the most that it can have been
};

// A run as rules look at it: what history knows, and what follows from it.
struct RunSubject {
  Run run;
  std::vector<RoundEvent> rounds;  // without round 0, the model as it began
  std::vector<Setting> settings;
  std::vector<RecordEvent> records;
  std::vector<ArtifactEvent> artifacts;

  Asked asked;                     // failures are of both kinds: a share of them is one of this
  RoundSeries loss, accuracy;      // of the global model: the server's, else the clients'
  RoundSeries train_loss;          // of the clients' own models
  RoundSeries federated_accuracy;  // of the global model on the clients' data

  // A record's number, if it is there and finite.
  std::optional<double> record(std::string_view name, std::string_view metric) const;
  std::optional<double> setting(std::string_view key) const;
  // How different the clients' labels are, 0 to 1; as the record data-skew tells.
  std::optional<double> label_skew() const { return record("data-skew", "label-tv-mean"); }
};

RunSubject run_subject(Run run, std::vector<RoundEvent> rounds, std::vector<Setting> settings,
                       std::vector<RecordEvent> records, std::vector<ArtifactEvent> artifacts);
// From a history.
Result<RunSubject> look_at_run(History& history, const Run& run);

using RunRules = Rules<RunSubject>;
// Every rule on finished runs.
const RunRules& run_rules();

// Its parts.
std::vector<Rule<RunSubject>> curve_rules();
std::vector<Rule<RunSubject>> drift_rules();
std::vector<Rule<RunSubject>> client_rules();

}  // namespace umbel::cli
