#include <unistd.h>

#include <nlohmann/json.hpp>

#include "build_app.h"
#include "commands.h"
#include "curve.h"
#include "link_profile.h"
#include "machine.h"
#include "process_identity.h"
#include "recorder.h"
#include "report_file.h"
#include "round_metrics.h"
#include "run_json.h"
#include "text_format.h"
#include "umbel/base/files.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

struct Prepared {
  Manifest manifest;
  fs::path app, program;
};

// Everything that can be wrong before there is a run.
Result<Prepared> prepare(const RunOptions& options, const Output& output, SignalWatch& signals) {
  UMBEL_RETURN_IF_ERROR(require_no_link(options.link));
  Prepared prepared;
  UMBEL_ASSIGN_OR_RETURN(prepared.manifest, read_manifest(options.app));
  for (const std::string& argument : options.run_config) {
    UMBEL_RETURN_IF_ERROR(apply_run_config(argument, prepared.manifest.config));
  }
  prepared.manifest.nodes = options.nodes.value_or(prepared.manifest.nodes);
  prepared.manifest.seed = options.seed.value_or(prepared.manifest.seed);
  prepared.manifest.threads = options.threads.value_or(prepared.manifest.threads);
  prepared.app = fs::absolute(options.app).lexically_normal();
  if (!prepared.app.has_filename()) prepared.app = prepared.app.parent_path();  // "app/"
  if (options.build) {
    UMBEL_ASSIGN_OR_RETURN(prepared.program,
                           build_app(prepared.app, prepared.manifest, output, signals));
  } else {
    UMBEL_ASSIGN_OR_RETURN(prepared.program, built_program(prepared.app, prepared.manifest));
  }
  return prepared;
}

Run new_run(const Prepared& prepared) {
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

std::string figures(const Run& run) {
  std::string text =
      fmt::format("\n  rounds    {} in {}", rounds_text(run.rounds, run.rounds_planned),
                  seconds_text(run.seconds));
  if (!run.reason.empty()) text += ": " + terminal_safe(run.reason);
  text += fmt::format("\n  clients   {} trained", count_text(run.clients));
  if (run.failures > 0) {
    text += fmt::format(", {} failed ({})", count_text(run.failures),
                        reasons_summary(run.failure_reasons));
    text += fmt::format("\n  why       umbel log {}", run.id);
  }
  std::string metrics;
  for (const auto& [name, ignored] : run.metrics) {
    if (!find_real(run.metrics, name) || is_repeated(run.metrics, name)) continue;
    metrics += fmt::format("{}{} {}", metrics.empty() ? "" : ", ", terminal_safe(name),
                           metric_text(run.metrics.at(name)));
  }
  if (!metrics.empty()) text += "\n  metrics   " + metrics;
  text += fmt::format("\n  traffic   {} down, {} up on a network", bytes_text(run.bytes_down),
                      bytes_text(run.bytes_up));
  return text;
}

std::string summary(const Run& run) {
  std::string text = fmt::format("run {}: {}", run.id, run.status);
  if (!run.error.empty()) text += ": " + terminal_safe(run.error);
  if (run.rounds > 0) text += figures(run);
  if (!run.model_sha256.empty()) text += "\n  model     sha256 " + run.model_sha256;
  if (!run.report.empty()) text += "\n  report    " + run.report;
  return text;
}

class RunCommand {
 public:
  RunCommand(const RunOptions& options, const Output& output)
      : options_(options), output_(output) {}

  int run() {
    const Result<Prepared> prepared = prepare(options_, output_, signals_);
    if (signals_.first() != 0) return output_.fail("stopped", kSignalBase + signals_.first());
    if (!prepared.ok()) return output_.fail(prepared.status());
    auto history = History::open(umbel_home());
    if (!history.ok()) return output_.fail(history.status());
    run_ = new_run(*prepared);
    if (const Status status = history->create(run_, prepared->manifest.config); !status.ok()) {
      return output_.fail(status);
    }
    output_.say(fmt::format("run {}: {} {}, {} nodes, seed {}", run_.id, run_.app, run_.version,
                            count_text(run_.nodes), run_.seed));
    Progress progress(output_, options_.stream);
    RunRecorder recorder(*history, run_, progress);
    recorder.finish(start(*prepared, recorder));
    progress.end();
    return conclude(*history, recorder);
  }

 private:
  Result<AppOutcome> start(const Prepared& prepared, RunRecorder& recorder) {
    const fs::path spec = fs::path(run_.folder) / "spec.json";
    UMBEL_RETURN_IF_ERROR(write_file_atomic(spec, spec_json(run_, prepared.manifest.config)));
    ChildCommand command;
    command.arguments = {prepared.program.string(), "--umbel-run", spec.string()};
    command.folder = prepared.app;
    command.events_variable = "UMBEL_EVENTS_FD";
    return supervise(command, signals_, recorder);
  }

  int conclude(History& history, const RunRecorder& recorder) {
    Status kept = recorder.history_status();
    if (options_.report && kept.ok()) {
      const Result<std::string> report = write_report(history, run_.id, "");
      if (report.ok()) run_.report = *report;
      kept = report.status();
    }
    const bool draw = options_.curve || is_terminal(output_.stream());
    const std::string curve = draw
                                  ? draw_curve(main_curve(recorder.curve_rounds()),
                                               terminal_columns(output_.stream()), locale_is_utf8())
                                  : "";
    if (!curve.empty()) output_.say(curve);
    output_.say(summary(run_));
    auto code = static_cast<int>(run_.exit_code);
    Json object = json_of(run_);
    if (!kept.ok()) {
      std::fputs(fmt::format("umbel: {}\n", message_of(kept)).c_str(), stderr);
      if (code == kDone) code = kFailed;
      object["error"] = run_.error.empty() ? message_of(kept) : run_.error;
      object["exit-code"] = code;
    }
    output_.result(object);
    return code;
  }

  const RunOptions& options_;
  const Output& output_;
  SignalWatch signals_;
  Run run_;
};

}  // namespace

int run_run(const RunOptions& options, const Output& output) {
  return RunCommand(options, output).run();
}

}  // namespace umbel::cli
