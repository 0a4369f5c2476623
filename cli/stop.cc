#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "child.h"
#include "commands.h"
#include "find_run.h"
#include "process_identity.h"
#include "run_json.h"

namespace umbel::cli {

namespace {

constexpr int kPatienceMilliseconds = 10'000;  // more than the app's own five seconds

// Asks the program that runs it to end, and waits until it has.
Status stop_run(FoundRun& found) {
  const int64_t id = found.run.id;
  if (found.run.status != "running") {
    return failed_precondition("run {}: not running; its status is {}", id, found.run.status);
  }
  const Descriptor process(open_process(found.run.process));
  if (process.get() >= 0) {
    if (syscall(SYS_pidfd_send_signal, process.get(), SIGTERM, nullptr, 0) != 0 && errno != ESRCH) {
      return absl::PermissionDeniedError(
          fmt::format("run {}: process {} belongs to somebody else", id, found.run.process.pid));
    }
    pollfd ended = {process.get(), POLLIN, 0};
    if (poll(&ended, 1, kPatienceMilliseconds) == 0) {
      return absl::DeadlineExceededError(
          fmt::format("run {}: process {} has not ended after {} seconds", id,
                      found.run.process.pid, kPatienceMilliseconds / 1000));
    }
  }
  UMBEL_ASSIGN_OR_RETURN(found.run, found.history.run(id));
  return absl::OkStatus();
}

}  // namespace

int run_stop(const StopOptions& options, const Output& output) {
  auto found = find_run(options.run, options.link);
  if (!found.ok()) return output.fail(found.status());
  if (const Status status = stop_run(*found); !status.ok()) return output.fail(status);
  const Run& run = found->run;
  output.say(fmt::format("run {}: {} after {} rounds", run.id, run.status, run.rounds));
  output.result(json_of(run));
  return kDone;
}

}  // namespace umbel::cli
