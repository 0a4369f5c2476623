#include "run_summary.h"

#include <nlohmann/json.hpp>

#include "curve.h"
#include "report_file.h"
#include "round_metrics.h"
#include "run_json.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

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

}  // namespace

int conclude_run(const RunOptions& options, const Output& output, History& history,
                 const RunRecorder& recorder, Run& run, Status kept) {
  if (!recorder.history_status().ok()) kept = recorder.history_status();
  if (options.report && recorder.history_status().ok()) {
    const Result<std::string> report = write_report(history, run.id, "");
    if (report.ok()) run.report = *report;
    if (kept.ok()) kept = report.status();
  }
  const bool draw = options.curve || is_terminal(output.stream());
  const std::string curve = draw ? draw_curve(main_curve(recorder.curve_rounds()),
                                              terminal_columns(output.stream()), locale_is_utf8())
                                 : "";
  if (!curve.empty()) output.say(curve);
  output.say(summary(run));
  auto code = static_cast<int>(run.exit_code);
  Json object = json_of(run);
  if (!kept.ok()) {
    std::fputs(fmt::format("umbel: {}\n", message_of(kept)).c_str(), stderr);
    if (code == kDone) code = kFailed;
    object["error"] = run.error.empty() ? message_of(kept) : run.error;
    object["exit-code"] = code;
  }
  output.result(object);
  return code;
}

}  // namespace umbel::cli
