#pragma once

#include <optional>
#include <string>

#include "doctor_run.h"
#include "energy.h"
#include "json_records.h"
#include "output.h"
#include "prepared_run.h"

namespace umbel::cli {

// What the centralised twin of a run has shown: the same app, seed and settings with one client
// that has all the data, trained on at least as many examples.  A run of its own; the federated one
// has this as the record "twin", of which each figure is one metric.
struct Twin {
  int64_t run = 0;     // the twin's number
  std::string metric;  // what both are measured by: "accuracy", or "loss" without one
  double federated = 0, central = 0;
  double gap = 0;      // how much better the twin is; below 0: worse
  int64_t rounds = 0;  // of the twin
  double federated_examples = 0, examples = 0;
  // When the twin was as good as the federation in the end; nothing if it never was.
  std::optional<int64_t> rounds_to_reach;
  std::optional<double> examples_to_reach;
  Work federated_work, work;  // bytes: what travelled; the data, once
};

// Whether a run can have a twin at all: FAILED_PRECONDITION if its rounds do not tell on how many
// examples they trained, or have neither accuracy nor loss of the global model.
Status require_comparable(const RunSubject& federated);
// The comparison of two finished runs.  FAILED_PRECONDITION if there is nothing to compare, or if
// the twin had fewer examples than some round of the federation: its one client does not have all.
Result<Twin> compare_with_twin(const RunSubject& federated, const RunSubject& twin);

RecordEvent record_of(const Twin& twin);
// From a run's records; nothing if there was no twin.
std::optional<Twin> twin_of(const std::vector<RecordEvent>& records);

// What was done in a run, from its records "local-process" and "energy"; nothing without them.
std::optional<Work> work_of(const Run& run, const std::vector<RecordEvent>& records);

// As `umbel run --twin` shows it: two lines, and the object "twin".
std::string text_of(const Twin& twin, const EnergyFactors& factors);
Json json_of(const Twin& twin, const EnergyFactors& factors);

// Examples that a run trained on, by the metric num-examples of its rounds; 0 if none tells.
double examples_of(const RunSubject& run);

class RunRecorder;
// What the meter has seen, if it can see, as the run's record "energy".
void note_energy(const RaplMeter& meter, RunRecorder& recorder);

// Runs the twin of a finished run and adds the record "twin" to it.
Status run_twin(const PreparedRun& prepared, const Run& federated, History& history,
                const Output& output, bool stream, SignalWatch& signals);

}  // namespace umbel::cli
