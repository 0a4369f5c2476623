#include <sys/wait.h>

#include "app_process.h"
#include "commands.h"
#include "umbel/bundle/interpreter.h"

namespace umbel::cli {

// The work is the package's own, and it has this terminal: what it prints and asks is between it
// and the user.
int run_port(const PortOptions& options, const Output& output) {
  const auto python = bundle::find_interpreter({.given = options.python});
  if (!python.ok()) return output.fail(python.status());
  std::vector<std::string> arguments = {options.app};
  if (options.dry_run) arguments.emplace_back("--dry-run");
  ChildCommand command;
  command.arguments = bundle::python_command(*python, "umbel.compat.port", arguments);
  command.environment = bundle::python_environment(*python, true);
  command.has_terminal = true;
  SignalWatch signals;
  const auto status = run_to_end(command, signals);
  if (signals.first() != 0) return kSignalBase + signals.first();
  if (!status.ok()) return output.fail(status.status());
  if (!WIFEXITED(*status)) {
    return output.fail(fmt::format("{} {}", python->program.string(), describe_end(*status)),
                       kFailed);
  }
  return WEXITSTATUS(*status);
}

}  // namespace umbel::cli
