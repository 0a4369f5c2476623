#include <fmt/format.h>
#include <sys/wait.h>

#include <nlohmann/json.hpp>

#include "app_process.h"
#include "commands.h"
#include "json_records.h"
#include "umbel/bundle/interpreter.h"

namespace umbel::cli {

namespace {

class Words final : public AppListener {
 public:
  void on_event(const Event&) override {}
  void on_output(bool is_error, std::string_view line) override {
    (is_error ? errors : lines).emplace_back(line);
  }
  std::optional<Clock::time_point> deadline() const override { return std::nullopt; }
  void on_deadline() override {}

  std::vector<std::string> lines, errors;
};

}  // namespace

// The work is the package's own; what it prints is for the user, or what the object has.
int run_port(const PortOptions& options, const Output& output) {
  const auto python = bundle::find_interpreter({.given = options.python});
  if (!python.ok()) return output.fail(python.status());
  std::vector<std::string> arguments = {options.app};
  if (options.dry_run) arguments.emplace_back("--dry-run");
  ChildCommand command;
  command.arguments = bundle::python_command(*python, "umbel.compat.port", arguments);
  command.environment = bundle::python_environment(*python, true);
  command.has_terminal = output.format() == Format::kText;
  SignalWatch signals;
  Words words;
  const auto outcome = supervise(command, signals, words);
  if (!outcome.ok()) return output.fail(outcome.status());
  if (outcome->signal != 0) return output.fail("stopped", kSignalBase + outcome->signal);
  const bool ended = WIFEXITED(outcome->wait_status);
  const int code = ended ? WEXITSTATUS(outcome->wait_status) : kFailed;
  if (code != kDone && !(ended && command.has_terminal)) {
    const std::string why = words.errors.empty() ? describe_end(outcome->wait_status)
                                                 : fmt::format("{}", fmt::join(words.errors, "\n"));
    return output.fail(why, code);
  }
  if (code == kDone) {
    output.result({{"app", options.app}, {"dry-run", options.dry_run}, {"lines", words.lines}});
  }
  return code;
}

}  // namespace umbel::cli
