#include <cstring>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "history.h"
#include "link_profile.h"
#include "run_json.h"
#include "text_format.h"
#include "umbel/base/files.h"

namespace umbel::cli {

namespace {

constexpr size_t kReasonBytesMax = 48;

// A run without a metric: what went wrong, in a few words.
std::string why(const Run& run) {
  if (run.status == "stopped" && run.error.empty()) {
    const char* signal = sigabbrev_np(static_cast<int>(run.exit_code) - kSignalBase);
    return signal == nullptr ? "-" : fmt::format("SIG{}", signal);
  }
  std::string text = terminal_safe(run.error.substr(0, run.error.find('\n')));
  if (text.size() <= kReasonBytesMax) return text.empty() ? "-" : text;
  size_t end = kReasonBytesMax - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

// The metric that says most in one word: accuracy, else loss, else whichever came first.
std::string main_metric(const Run& run) {
  for (const char* name : {"accuracy", "loss"}) {
    if (const auto value = find_real(run.metrics, name)) {
      return fmt::format("{} {}", name, metric_text(*value));
    }
  }
  for (const auto& [name, ignored] : run.metrics) {
    if (const auto value = find_real(run.metrics, name)) {
      return fmt::format("{} {}", terminal_safe(name), metric_text(*value));
    }
  }
  return why(run);
}

std::vector<std::string> row_of(const Run& run, int64_t now) {
  const bool open = run.rounds_planned > 0 && run.rounds_planned != run.rounds;
  return {std::to_string(run.id),
          run.app,
          run.status,
          open ? fmt::format("{}/{}", run.rounds, run.rounds_planned) : std::to_string(run.rounds),
          age_text(now - run.started_ms),
          seconds_text(run.seconds),
          main_metric(run),
          count_text(run.nodes)};
}

std::string table_of(const std::vector<Run>& runs) {
  std::vector<std::vector<std::string>> rows = {
      {"RUN", "APP", "STATUS", "ROUND", "AGE", "TIME", "METRIC", "NODES"}};
  const int64_t now = now_milliseconds();
  for (const Run& run : runs) rows.push_back(row_of(run, now));
  return text_table(rows);
}

Result<std::vector<Run>> find_runs(const LsOptions& options) {
  UMBEL_RETURN_IF_ERROR(require_no_link(options.link));
  UMBEL_ASSIGN_OR_RETURN(std::optional<History> history, History::open_existing(umbel_home()));
  if (!history) return std::vector<Run>();
  return history->runs({options.status, options.app, options.limit});
}

}  // namespace

int run_ls(const LsOptions& options, const Output& output) {
  const auto runs = find_runs(options);
  if (!runs.ok()) return output.fail(runs.status());
  if (output.format() == Format::kText) {
    output.say(runs->empty() ? "no runs" : table_of(*runs));
    return kDone;
  }
  Json list = Json::array();
  for (const Run& run : *runs) list.push_back(json_of(run));
  output.result({{"runs", list}});
  return kDone;
}

}  // namespace umbel::cli
