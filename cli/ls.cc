#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "history.h"
#include "hub_client.h"
#include "run_json.h"
#include "run_watch.h"
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

std::vector<std::string> row_of(const Run& run, int64_t now, bool with_link) {
  const bool open = run.rounds_planned > 0 && run.rounds_planned != run.rounds;
  std::vector<std::string> row = {
      std::to_string(run.id),
      run.app,
      run.status,
      open ? fmt::format("{}/{}", run.rounds, run.rounds_planned) : std::to_string(run.rounds),
      age_text(now - run.started_ms),
      seconds_text(run.seconds),
      main_metric(run),
      count_text(run.nodes)};
  if (with_link)
    row.push_back(run.link.empty() ? "-" : fmt::format("{} {}", run.link, run.link_run));
  return row;
}

// `link` is the one that the runs are listed of; "": this machine, where some may have gone
// elsewhere.
std::string table_of(const std::vector<Run>& runs, const std::string& link) {
  if (runs.empty()) return "no runs";
  const bool with_link = link.empty() && std::any_of(runs.begin(), runs.end(), [](const Run& run) {
                           return !run.link.empty();
                         });
  std::vector<std::vector<std::string>> rows = {
      {"RUN", "APP", "STATUS", "ROUND", "AGE", "TIME", "METRIC", "NODES"}};
  if (with_link) rows.front().push_back("LINK");
  const int64_t now = now_milliseconds();
  for (const Run& run : runs) rows.push_back(row_of(run, now, with_link));
  return text_table(rows);
}

Result<std::vector<Run>> runs_at(HubClient& client, const LsOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(std::vector<Run> runs, client.runs());
  std::erase_if(runs, [&](const Run& run) {
    return (!options.status.empty() && run.status != options.status) ||
           (!options.app.empty() && run.app != options.app);
  });
  const auto limit = static_cast<size_t>(options.limit);
  if (limit != 0 && runs.size() > limit) runs.resize(limit);
  return runs;
}

// Shows the table again whenever a run has said something, until a signal comes.
int watch(const LsOptions& options, const Output& output) {
  SignalWatch signals;
  RunWatch watch(options.link);
  while (true) {
    const auto runs = watch.next(signals);
    if (signals.first() != 0) return kDone;
    if (!runs.ok()) return output.fail_on(options.link, runs.status());
    std::vector<Run> shown = *runs;
    if (options.limit != 0 && shown.size() > static_cast<size_t>(options.limit)) {
      shown.resize(static_cast<size_t>(options.limit));
    }
    const bool clears = is_terminal(stdout);
    output.say((clears ? "\x1b[H\x1b[2J" : "") + table_of(shown, options.link));
  }
}

Result<std::vector<Run>> find_runs(const LsOptions& options) {
  if (!options.link.empty()) {
    UMBEL_ASSIGN_OR_RETURN(HubClient client, HubClient::open(options.link));
    return runs_at(client, options);
  }
  UMBEL_ASSIGN_OR_RETURN(std::optional<History> history, History::open_existing(umbel_home()));
  if (!history) return std::vector<Run>();
  return history->runs({options.status, options.app, options.limit});
}

}  // namespace

int run_ls(const LsOptions& options, const Output& output) {
  if (options.watch && !options.link.empty()) return watch(options, output);
  const auto runs = find_runs(options);
  if (!runs.ok()) return output.fail_on(options.link, runs.status());
  if (output.format() == Format::kText) {
    output.say(table_of(*runs, options.link));
    return kDone;
  }
  Json list = Json::array();
  for (const Run& run : *runs) list.push_back(json_of(run));
  output.result({{"runs", list}});
  return kDone;
}

}  // namespace umbel::cli
