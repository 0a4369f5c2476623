#include "run_summary.h"

#include <nlohmann/json.hpp>

#include "curve.h"
#include "lenses.h"
#include "report_file.h"
#include "round_metrics.h"
#include "run_json.h"
#include "text_format.h"
#include "twin.h"

namespace umbel::cli {

namespace {

std::string line(std::string_view name, const std::string& text) {
  return fmt::format("\n  {:<11} {}", name, text);
}

std::string figures(const Run& run) {
  std::string rounds = fmt::format("{} in {}", rounds_text(run.rounds, run.rounds_planned),
                                   seconds_text(run.seconds));
  if (!run.reason.empty()) rounds += ": " + terminal_safe(run.reason);
  std::string text = line("rounds", rounds);
  if (run.virtual_seconds) {
    text += line("deployed", fmt::format("a deployment like this would have taken {}",
                                         seconds_text(*run.virtual_seconds)));
  }
  std::string metrics;
  for (const auto& [name, ignored] : run.metrics) {
    if (!find_real(run.metrics, name) || is_repeated(run.metrics, name)) continue;
    metrics += fmt::format("{}{} {}", metrics.empty() ? "" : ", ", terminal_safe(name),
                           metric_text(run.metrics.at(name)));
  }
  if (!metrics.empty()) text += line("metrics", metrics);
  return text;
}

constexpr size_t kReasonShownMax = 400;

// How many clients failed in which way, and what the first of them said.
std::string failures(const Run& run) {
  if (run.failures == 0) return "";
  std::string text;
  for (const auto& [reason, count] : run.failure_reasons) {
    text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", count_text(count),
                        terminal_safe(reason));
  }
  if (text.empty()) text = count_text(run.failures);
  const FailureSample& first = run.first_failure;
  if (!first.reason.empty()) {
    text += first.node < 0 ? ", first: " : fmt::format(", first: client {}: ", first.node);
    text += terminal_safe(std::string_view(first.reason).substr(0, kReasonShownMax));
  }
  return line("failures", text);
}

// A run that never came to a round has nothing to show but why.
bool never_began(const Run& run) {
  return run.status == "failed" && run.rounds == 0 && run.clients == 0;
}

std::string summary(const Run& run, const std::vector<Lens>& lenses) {
  std::string text = fmt::format("run {}: {}", run.id, run.status);
  if (!run.error.empty()) text += ": " + terminal_safe(run.error);
  if (never_began(run)) {
    return text + failures(run) + line("log", fmt::format("umbel log {}", run.id));
  }
  if (run.rounds > 0) text += figures(run);
  for (const Lens& lens : lenses) {
    text += line(lens.name, lens.text);
    if (lens.name == "reliability" && run.failures > 0) {
      text += failures(run) + line("why", fmt::format("umbel log {}", run.id));
    }
  }
  if (!run.model_sha256.empty()) text += line("model", "sha256 " + run.model_sha256);
  if (!run.report.empty()) text += line("report", run.report);
  return text;
}

// Shows what the twin has shown; null if there is none.
Json say_twin(History& history, const Run& run, const Output& output) {
  const auto records = history.records(run.id);
  const auto factors = read_energy_factors();
  const auto twin = records.ok() ? twin_of(*records) : std::nullopt;
  if (!twin || !factors.ok()) return nullptr;
  output.say(text_of(*twin, *factors));
  return json_of(*twin, *factors);
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
  const auto lenses = lenses_of(run, recorder.curve_rounds(), recorder.lens_records());
  output.say(summary(run, lenses));
  const Json twin = options.twin ? say_twin(history, run, output) : Json(nullptr);
  auto code = static_cast<int>(run.exit_code);
  Json object = json_of(run);
  object["lenses"] = json_of(lenses);
  if (options.twin) object["twin"] = twin;
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
