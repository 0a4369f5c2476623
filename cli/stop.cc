#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "child.h"
#include "commands.h"
#include "find_run.h"
#include "hub_client.h"
#include "process_identity.h"
#include "run_json.h"

namespace umbel::cli {

namespace {

constexpr int kPatienceMilliseconds = 10'000;         // more than the app's own five seconds
constexpr auto kPatience = std::chrono::seconds(30);  // of a hub: it waits for its app as well

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

// Asks the hub, and waits for the end of the run's events.
Result<Run> stop_at_hub(const StopOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(HubClient client, HubClient::open(options.link));
  UMBEL_ASSIGN_OR_RETURN(Run run, client.run(options.run));
  if (!is_under_way(run)) {
    return failed_precondition("run {}: not running; its status is {}", options.run, run.status);
  }
  UMBEL_ASSIGN_OR_RETURN(run, client.stop(options.run));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  int64_t after = 0;
  while (is_under_way(run) && std::chrono::steady_clock::now() < deadline) {
    UMBEL_ASSIGN_OR_RETURN(const auto events,
                           client.events(options.run, after, std::chrono::seconds(5)));
    for (const HubEvent& event : events) {
      after = std::max(after, event.sequence);
      if (const auto* end = std::get_if<Run>(&event.what)) run = *end;
    }
  }
  if (!is_under_way(run)) return run;
  return absl::DeadlineExceededError(
      fmt::format("run {}: has not ended after {} seconds", options.run, kPatience.count()));
}

int conclude(const Run& run, const Output& output) {
  output.say(fmt::format("run {}: {} after {} rounds", run.id, run.status, run.rounds));
  output.result(json_of(run));
  return kDone;
}

}  // namespace

int run_stop(const StopOptions& given, const Output& output) {
  StopOptions options = given;
  const auto chosen = run_or_latest(given.run, "running");
  if (!chosen.ok()) return output.fail(chosen.status());
  options.run = *chosen;
  if (!options.link.empty()) {
    const Result<Run> run = stop_at_hub(options);
    return run.ok() ? conclude(*run, output) : output.fail_on(options.link, run.status());
  }
  auto found = find_run(options.run, options.link);
  if (!found.ok()) return output.fail(found.status());
  if (const Status status = stop_run(*found); !status.ok()) return output.fail(status);
  return conclude(found->run, output);
}

}  // namespace umbel::cli
