#include "run_link.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "hub_artifacts.h"
#include "hub_follower.h"
#include "lenses.h"
#include "machine.h"
#include "pack_app.h"
#include "prepared_run.h"
#include "process_identity.h"
#include "run_json.h"
#include "run_summary.h"
#include "text_format.h"
#include "umbel/base/files.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

using Clock = AppListener::Clock;

constexpr auto kStopPatience =
    std::chrono::seconds(30);  // for the run's end after the first Ctrl-C

// While this lives, a signal ends the client's calls; the signal itself is left to be taken.
class CancelOnSignal {
 public:
  CancelOnSignal(const SignalWatch& signals, HubClient& client)
      : done_(eventfd(0, EFD_CLOEXEC)), thread_([this, &signals, &client] {
          pollfd polled[] = {{signals.descriptor(), POLLIN, 0}, {done_.get(), POLLIN, 0}};
          while (poll(polled, 2, -1) < 0) {
          }
          if (polled[0].revents != 0) client.cancel();
        }) {}
  ~CancelOnSignal() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t put = write(done_.get(), &one, sizeof one);
    thread_.join();
  }

 private:
  Descriptor done_;
  std::thread thread_;
};

// Asks the hub to stop a run, over a connection of its own and in the background.
class StopRequest {
 public:
  StopRequest(const LinkProfile& link, int64_t run) : client_(HubClient::open(link)) {
    if (client_.ok()) thread_ = std::thread([this, run] { status_ = client_->stop(run).status(); });
  }
  ~StopRequest() {
    if (!thread_.joinable()) return;
    client_->cancel();
    thread_.join();
  }

 private:
  Result<HubClient> client_;
  Status status_;
  std::thread thread_;
};

class LinkRun {
 public:
  LinkRun(const RunOptions& options, const Output& output) : options_(options), output_(output) {}

  int run() {
    const Result<LinkProfile> link = find_link(options_.link);
    if (!link.ok()) return output_.fail(link.status());
    const auto prepared = prepare_run(options_, output_, signals_);
    if (signals_.first() != 0) return output_.fail("stopped", kSignalBase + signals_.first());
    if (!prepared.ok()) return output_.fail(prepared.status());
    Result<HubClient> client = HubClient::open(*link);
    if (!client.ok()) return fail(client.status());
    if (const Status status = start(*client, *prepared); !status.ok()) {
      if (signals_.take() != 0) return output_.fail("stopped", kSignalBase + signals_.first());
      return fail(status);
    }
    auto history = History::open(umbel_home());
    if (!history.ok()) return output_.fail(history.status());
    if (const Status status = history->create(run_, prepared->manifest.config); !status.ok()) {
      return output_.fail(status);
    }
    output_.say(fmt::format("run {}: {} {} on {} as its run {}, seed {}", run_.id, run_.app,
                            run_.version, run_.link, run_.link_run, run_.seed));
    if (run_.nodes_there) {
      output_.say(fmt::format("{} of {} nodes are there, waiting up to {} s", *run_.nodes_there,
                              std::max<int64_t>(run_.nodes, 1), options_.wait_seconds));
    }
    return follow(*client, *history);
  }

 private:
  int fail(const Status& status) const {
    return output_.fail(message_of(status), exit_code_on_link(status));
  }

  // The bundle is at the hub, and the run is there.
  Status start(HubClient& client, const PreparedRun& prepared) {
    UMBEL_ASSIGN_OR_RETURN(const PackedApp packed,
                           pack_app(prepared.app, prepared.manifest, prepared.program));
    if (const std::string told = data_like_text(packed); !told.empty()) output_.say(told);
    tls_ = !client.link().plain;
    bundle_bytes_ = static_cast<int64_t>(packed.archive.size());
    const CancelOnSignal cancel(signals_, client);
    UMBEL_ASSIGN_OR_RETURN(const bool there, client.has_bundle(packed.sha256));
    if (!there) {
      output_.say(fmt::format("sending {} to {}",
                              bytes_text(static_cast<int64_t>(packed.archive.size())),
                              client.link().name));
      UMBEL_RETURN_IF_ERROR(client.put_bundle(packed.sha256, packed.archive));
    }
    const Json request = {{"bundle", packed.sha256},
                          {"nodes", options_.nodes.value_or(0)},
                          {"seed", prepared.manifest.seed},
                          {"run-config", json_of(prepared.manifest.config)},
                          {"wait-seconds", options_.wait_seconds}};
    UMBEL_ASSIGN_OR_RETURN(const Run there_run, client.start(request));
    run_.link = client.link().name;
    run_.link_run = there_run.id;
    run_.app = prepared.manifest.name;
    run_.version = prepared.manifest.version;
    run_.publisher = prepared.manifest.publisher;
    run_.path = prepared.app.string();
    run_.seed = prepared.manifest.seed;
    run_.nodes = there_run.nodes;
    run_.nodes_there = there_run.nodes_there;
    run_.started_ms = now_milliseconds();
    run_.machine = describe_machine();
    run_.process = this_process();
    return absl::OkStatus();
  }

  int follow(HubClient& client, History& history) {
    Progress progress(output_, options_.stream);
    RunRecorder recorder(history, run_, progress);
    Status ended = absl::OkStatus();
    bool detached = options_.detach;
    if (!detached) {
      HubFollower follower(client, run_.link_run, 0);
      detached = !listen(client.link(), follower, recorder, progress, ended);
    }
    if (detached) recorder.leave();
    progress.end();
    if (detached || !ended.ok()) {
      if (!detached) recorder.leave();
      return conclude_detached(ended);
    }
    const Status pulled = options_.pull && signals_.first() == 0 ? pull(client.link()) : ended;
    return conclude_run(options_, output_, history, recorder, run_, pulled);
  }

  int conclude_detached(const Status& ended) {
    if (!ended.ok()) return fail(ended);
    output_.say(fmt::format(
        "run {} goes on at {} as its run {}: `umbel log {} {} --follow`, `umbel stop {} {}`",
        run_.id, run_.link, run_.link_run, run_.link_run, run_.link, run_.link_run, run_.link));
    Json object = json_of(run_);
    const int code = signals_.first() == 0 ? kDone : kSignalBase + signals_.first();
    object["exit-code"] = code;
    output_.result(object);
    return code;
  }

  // Until the run is over (true; `ended` is why there is no more to hear), or we leave it (false).
  bool listen(const LinkProfile& link, HubFollower& follower, RunRecorder& recorder,
              Progress& progress, Status& ended) {
    std::optional<StopRequest> stop;
    std::optional<Clock::time_point> give_up;
    while (true) {
      wait(follower, recorder, give_up);
      if (give_up && *give_up <= Clock::now()) return false;  // a hub that is gone stops nothing
      while (signals_.take() != 0) {
        if (stop) return false;
        progress.say(fmt::format("stopping it at {}; once more leaves it to itself", link.name));
        stop.emplace(link, run_.link_run);
        give_up = Clock::now() + kStopPatience;
      }
      const HubFollower::Taken taken = follower.take();
      if (!taken.notice.empty()) progress.say("umbel: " + terminal_safe(taken.notice));
      for (const HubEvent& event : taken.events) on_event(event, recorder);
      if (const auto at = recorder.deadline(); at && *at <= Clock::now()) {
        recorder.on_deadline();
      }
      if (!taken.ended) continue;
      ended = *taken.ended;
      return true;
    }
  }
  void wait(const HubFollower& follower, const RunRecorder& recorder,
            std::optional<Clock::time_point> give_up) {
    int milliseconds = -1;
    for (const auto& at : {recorder.deadline(), give_up}) {
      if (!at) continue;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*at - Clock::now());
      const int one = std::max(0, static_cast<int>(left.count()));
      milliseconds = milliseconds < 0 ? one : std::min(milliseconds, one);
    }
    pollfd polled[] = {{follower.descriptor(), POLLIN, 0}, {signals_.descriptor(), POLLIN, 0}};
    [[maybe_unused]] const int ready = poll(polled, 2, milliseconds);
  }
  void on_event(const HubEvent& event, RunRecorder& recorder) {
    if (const auto* of_app = std::get_if<Event>(&event.what)) recorder.on_event(*of_app);
    if (const auto* output = std::get_if<HubOutput>(&event.what)) {
      recorder.on_output(output->error, output->line);
    }
    if (const auto* end = std::get_if<Run>(&event.what)) {
      recorder.note(link_record(tls_, end->restarts, bundle_bytes_));
      recorder.finish(*end, signals_.first());
    }
  }

  // Over a connection of its own: the follower has ended the other one.
  Status pull(const LinkProfile& link) {
    UMBEL_ASSIGN_OR_RETURN(HubClient client, HubClient::open(link));
    const CancelOnSignal cancel(signals_, client);
    UMBEL_ASSIGN_OR_RETURN(const auto artifacts, client.artifacts(run_.link_run));
    for (const ArtifactEvent& artifact : artifacts) {
      UMBEL_RETURN_IF_ERROR(
          pull_artifact(client, run_.link_run, artifact, fs::path(run_.folder) / artifact.name));
    }
    return absl::OkStatus();
  }

  const RunOptions& options_;
  const Output& output_;
  SignalWatch signals_;
  Run run_;
  bool tls_ = true;
  int64_t bundle_bytes_ = 0;
};

}  // namespace

int run_on_link(const RunOptions& options, const Output& output) {
  return LinkRun(options, output).run();
}

}  // namespace umbel::cli
