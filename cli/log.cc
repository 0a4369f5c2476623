#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "child.h"
#include "commands.h"
#include "find_run.h"
#include "log_hub.h"
#include "process_identity.h"
#include "progress.h"
#include "signal_watch.h"
#include "text_format.h"

namespace umbel::cli {

Json json_of(const LogLine& line) {
  return {{"time", utc_text(line.time_ms)},
          {"side", line.side},
          {"level", line.level},
          {"node", line.node < 0 ? Json(nullptr) : Json(line.node)},
          {"message", line.message}};
}

namespace {

class LogPrinter {
 public:
  LogPrinter(FoundRun& found, const LogOptions& options, const Output& output)
      : found_(found), options_(options), output_(output) {}

  // Prints what came since the last call.
  Status print_new() {
    const int64_t last = sequence_ == 0 ? options_.limit : 0;
    return found_.history.log(options_.run, options_.side, sequence_, last,
                              [&](const LogLine& line) { print(line); });
  }
  // Goes on until the run's program has ended (0) or a signal came (its number).
  Result<int> follow() {
    SignalWatch signals;
    const Descriptor changes(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (inotify_add_watch(changes.get(), found_.run.folder.c_str(), IN_ATTRIB) < 0) {
      return unavailable("{}: cannot be watched for changes", found_.run.folder);
    }
    const Descriptor process(open_process(found_.run.process));
    bool ended = process.get() < 0;
    while (true) {
      UMBEL_RETURN_IF_ERROR(print_new());
      if (ended) return 0;
      pollfd polled[] = {{process.get(), POLLIN, 0},
                         {signals.descriptor(), POLLIN, 0},
                         {changes.get(), POLLIN, 0}};
      if (poll(polled, 3, -1) < 0) continue;
      if (signals.take() != 0) return signals.first();
      ended = polled[0].revents != 0;
      char events[4096];
      while (read(changes.get(), events, sizeof events) > 0) {
      }
    }
  }
  bool printed() const { return sequence_ != 0; }
  Json lines() && { return std::move(lines_); }

 private:
  void print(const LogLine& line) {
    sequence_ = line.sequence;
    if (output_.format() == Format::kJson) lines_.push_back(json_of(line));
    if (output_.format() == Format::kText || options_.follow) output_.say(log_text(line));
  }

  FoundRun& found_;
  const LogOptions& options_;
  const Output& output_;
  int64_t sequence_ = 0;
  Json lines_ = Json::array();
};

}  // namespace

int run_log(const LogOptions& given, const Output& output) {
  LogOptions options = given;
  const auto chosen = run_or_latest(given.run);
  if (!chosen.ok()) return output.fail(chosen.status());
  options.run = *chosen;
  if (!options.link.empty()) return log_at_hub(options, output);
  auto found = find_run(options.run, "");
  if (!found.ok()) return output.fail(found.status());
  if (const int64_t dropped = found->run.log_lines_dropped; dropped > 0) {
    std::fputs(fmt::format("umbel: of this log the last {} lines are kept; {} went before them\n",
                           count_text(kLogLinesKept), count_text(dropped))
                   .c_str(),
               stderr);
  }
  LogPrinter printer(*found, options, output);
  int signal = 0;
  if (options.follow && found->run.status == "running") {
    const Result<int> ended = printer.follow();
    if (!ended.ok()) return output.fail(ended.status());
    signal = *ended;
  } else if (const Status status = printer.print_new(); !status.ok()) {
    return output.fail(status);
  }
  if (!printer.printed()) {
    const std::string side = options.side == "all" ? "" : fmt::format(" as {}", options.side);
    std::fputs(fmt::format("umbel: run {} logged nothing{}\n", options.run, side).c_str(), stderr);
  }
  output.result({{"run-id", options.run},
                 {"lines", std::move(printer).lines()},
                 {"dropped", found->run.log_lines_dropped}});
  return signal == 0 ? kDone : kSignalBase + signal;
}

}  // namespace umbel::cli
