#include <nlohmann/json.hpp>

#include "app_process.h"
#include "energy.h"
#include "machine.h"
#include "process_identity.h"
#include "recorder.h"
#include "run_json.h"
#include "text_format.h"
#include "twin.h"
#include "umbel/base/files.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

// spec.json with what makes the run a twin, whose client is there always.
std::string twin_spec(const Run& run, const PreparedRun& prepared, double examples) {
  Json spec = spec_json(run, prepared.manifest, prepared);
  spec.erase("population");
  spec["twin-examples"] = static_cast<int64_t>(std::clamp(examples, 1.0, 9e18));
  return text_of(spec) + "\n";
}

Run twin_of_run(const Run& federated) {
  Run run;
  run.app = federated.app;
  run.version = federated.version;
  run.publisher = federated.publisher;
  run.path = federated.path;
  run.seed = federated.seed;
  run.nodes = 1;
  run.threads = federated.threads;
  run.started_ms = now_milliseconds();
  run.machine = describe_machine();
  run.process = this_process();
  return run;
}

Result<AppOutcome> start(const PreparedRun& prepared, const Run& run, double examples,
                         SignalWatch& signals, RunRecorder& recorder) {
  const fs::path spec = fs::path(run.folder) / "spec.json";
  UMBEL_RETURN_IF_ERROR(write_file_atomic(spec, twin_spec(run, prepared, examples)));
  const ChildCommand command = run_command(prepared, prepared.manifest.python, spec);
  const RaplMeter meter;
  auto outcome = supervise(command, signals, recorder);
  note_energy(meter, recorder);
  return outcome;
}

}  // namespace

void note_energy(const RaplMeter& meter, RunRecorder& recorder) {
  if (const auto joules = meter.joules()) {
    recorder.note({"energy", {{"package-joules", *joules}}});
  }
}

Status run_twin(const PreparedRun& prepared, const Run& federated, History& history,
                const Output& output, bool stream, SignalWatch& signals) {
  UMBEL_ASSIGN_OR_RETURN(const RunSubject ours, look_at_run(history, federated));
  UMBEL_RETURN_IF_ERROR(require_comparable(ours));
  const double examples = examples_of(ours);
  Run run = twin_of_run(federated);
  UMBEL_RETURN_IF_ERROR(history.create(run, prepared.manifest.config));
  output.say(fmt::format("run {}: the twin of run {}, on the pooled data", run.id, federated.id));
  Progress progress(output, stream);
  RunRecorder recorder(history, run, progress);
  recorder.finish(start(prepared, run, examples, signals, recorder));
  progress.end();
  UMBEL_RETURN_IF_ERROR(recorder.history_status());
  if (run.status != "completed") {
    const bool by_design = run.error.find("no centralised twin") != std::string::npos;
    const std::string why =
        fmt::format("no twin: run {} {}: {}", run.id, run.status, terminal_safe(run.error));
    return by_design ? failed_precondition("{}", why) : unavailable("{}", why);
  }
  UMBEL_ASSIGN_OR_RETURN(const RunSubject theirs, look_at_run(history, run));
  UMBEL_ASSIGN_OR_RETURN(const Twin twin, compare_with_twin(ours, theirs));
  RunUpdate update;
  update.records.push_back(record_of(twin));
  return history.save(federated, update);
}

}  // namespace umbel::cli
