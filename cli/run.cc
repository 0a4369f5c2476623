#include <unistd.h>

#include <nlohmann/json.hpp>

#include "build_app.h"
#include "commands.h"
#include "machine.h"
#include "prepared_run.h"
#include "process_identity.h"
#include "recorder.h"
#include "run_json.h"
#include "run_link.h"
#include "run_summary.h"
#include "text_format.h"
#include "twin.h"
#include "umbel/base/files.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

Run new_run(const PreparedRun& prepared) {
  Run run;
  run.app = prepared.manifest.name;
  run.version = prepared.manifest.version;
  run.publisher = prepared.manifest.publisher;
  run.path = prepared.app.string();
  run.seed = prepared.manifest.seed;
  run.nodes = prepared.manifest.nodes;
  run.threads = prepared.manifest.threads;
  run.started_ms = now_milliseconds();
  run.machine = describe_machine();
  run.process = this_process();
  return run;
}

class RunCommand {
 public:
  RunCommand(const RunOptions& options, const Output& output)
      : options_(options), output_(output) {}

  int run() {
    const Result<PreparedRun> prepared = prepare_run(options_, output_, signals_);
    if (signals_.first() != 0) return output_.fail("stopped", kSignalBase + signals_.first());
    if (!prepared.ok()) return output_.fail(prepared.status());
    if (const auto factors = read_energy_factors(); !factors.ok()) {
      return output_.fail(factors.status());
    }
    auto history = History::open(umbel_home());
    if (!history.ok()) return output_.fail(history.status());
    run_ = new_run(*prepared);
    if (const Status status = history->create(run_, prepared->manifest.config); !status.ok()) {
      return output_.fail(status);
    }
    output_.say(fmt::format("run {}: {} {}, {} nodes, seed {}", run_.id, run_.app, run_.version,
                            count_text(run_.nodes), run_.seed));
    Progress progress(output_, options_.stream, !options_.debug);
    RunRecorder recorder(*history, run_, progress);
    recorder.finish(start(*prepared, recorder));
    progress.end();
    Status kept = absl::OkStatus();
    if (options_.twin && run_.status == "completed" && recorder.history_status().ok()) {
      kept = run_twin(*prepared, run_, *history, output_, options_.stream, signals_);
      if (absl::IsFailedPrecondition(kept)) {  // the run itself is as good without
        output_.say(fmt::format("warning: {}", message_of(kept)));
        kept = absl::OkStatus();
      }
    }
    return conclude_run(options_, output_, *history, recorder, run_, kept);
  }

 private:
  Result<AppOutcome> start(const PreparedRun& prepared, RunRecorder& recorder) {
    const fs::path spec = fs::path(run_.folder) / "spec.json";
    UMBEL_RETURN_IF_ERROR(
        write_file_atomic(spec, text_of(spec_json(run_, prepared.manifest, prepared)) + "\n"));
    ChildCommand command = run_command(prepared, prepared.manifest.python, spec);
    if (options_.debug) {
      command.has_terminal = true;
      command.environment.emplace_back("UMBEL_DEBUG", "1");
    }
    const RaplMeter meter;
    auto outcome = supervise(command, signals_, recorder);
    note_energy(meter, recorder);
    return outcome;
  }

  const RunOptions& options_;
  const Output& output_;
  SignalWatch signals_;
  Run run_;
};

}  // namespace

int run_run(const RunOptions& options, const Output& output) {
  if (options.twin && !options.link.empty()) {
    return output.fail("--twin: only a simulation has all the data in one place", kBadInput);
  }
  if (options.debug && !options.link.empty()) {
    return output.fail("--debug: only a simulation has all of the app at this terminal", kBadInput);
  }
  if (options.debug && output.format() == Format::kJson) {
    return output.fail("--debug: the app has standard output, where --format json would be",
                       kBadInput);
  }
  if (!options.link.empty()) return run_on_link(options, output);
  return RunCommand(options, output).run();
}

}  // namespace umbel::cli
