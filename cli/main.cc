#include <csignal>
#include <exception>

#include "arguments.h"
#include "commands.h"

namespace umbel::cli {

namespace {

// The parts list: which function is which command.
struct Run {
  const Output& output;
  int operator()(const NewOptions& options) const { return run_new(options, output); }
  int operator()(const PortOptions& options) const { return run_port(options, output); }
  int operator()(const BuildOptions& options) const { return run_build(options, output); }
  int operator()(const RunOptions& options) const { return run_run(options, output); }
  int operator()(const LsOptions& options) const { return run_ls(options, output); }
  int operator()(const RoundsOptions& options) const { return run_rounds(options, output); }
  int operator()(const LogOptions& options) const { return run_log(options, output); }
  int operator()(const StopOptions& options) const { return run_stop(options, output); }
  int operator()(const PullOptions& options) const { return run_pull(options, output); }
  int operator()(const ReportOptions& options) const { return run_report(options, output); }
  int operator()(const LinkOptions& options) const { return run_link(options, output); }
  int operator()(const KeyOptions& options) const { return run_key(options, output); }
  int operator()(const SupernodeOptions& options) const { return run_supernode(options, output); }
  int operator()(const AccountOptions& options) const { return run_account(options, output); }
  int operator()(const UpOptions& options) const { return run_up(options, output); }
  int operator()(const DownOptions& options) const { return run_down(options, output); }
  int operator()(const PlanOptions& options) const { return run_plan(options, output); }
  int operator()(const DataOptions& options) const { return run_data(options, output); }
  int operator()(const DoctorOptions& options) const { return run_doctor(options, output); }
};

int run(int count, const char* const* arguments) {
  const auto parsed = parse_arguments(count, arguments);
  if (const auto* ended = std::get_if<EndedByArguments>(&parsed)) {
    const Output output(ended->format);
    if (ended->exit_code != kDone) return output.fail(ended->text, ended->exit_code);
    std::fputs(ended->text.c_str(), stdout);
    return kDone;
  }
  const auto& invocation = std::get<Invocation>(parsed);
  const Output output(invocation.format);
  try {
    return std::visit(Run{output}, invocation.command);
  } catch (const std::exception& error) {
    return output.fail(fmt::format("a bug of umbel's own, please report it: {}", error.what()),
                       kBug);
  }
}

}  // namespace

}  // namespace umbel::cli

int main(int count, char** arguments) {
  // A reader that leaves and a file-size limit are errors of the write, not the end of the program.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  int code = umbel::cli::kBug;
  try {
    code = umbel::cli::run(count, arguments);
  } catch (...) {
    std::fputs("umbel: a bug of umbel's own, please report it\n", stderr);
  }
  if (!umbel::cli::flush_output()) {
    std::fputs("umbel: standard output cannot be written; is the disk full?\n", stderr);
    if (code == umbel::cli::kDone) code = umbel::cli::kFailed;
  }
  return code;
}
