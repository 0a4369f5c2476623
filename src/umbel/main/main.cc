#include "umbel/main/main.h"

#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "umbel/main/local_run.h"
#include "umbel/runner/client_process.h"

namespace umbel {

namespace {

constexpr int kExitArguments = 4;

// Waits for SIGTERM, SIGINT and SIGHUP on a thread of its own and asks the run to stop.
class StopOnSignal {
 public:
  explicit StopOnSignal(LocalRun& run) : run_(run) {}
  // Before any other thread starts, so that all of them leave the signals to this one.
  static void block() {
    const sigset_t set = signals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  }
  void start() {
    thread_ = std::thread([this] { wait(); });
  }
  ~StopOnSignal() {
    if (!thread_.joinable()) return;
    ended_ = true;
    ::pthread_kill(thread_.native_handle(), SIGUSR1);
    thread_.join();
  }

 private:
  static sigset_t signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) ::sigaddset(&set, signal);
    return set;
  }
  void wait() {
    const sigset_t set = signals();
    for (int signal = 0; ::sigwait(&set, &signal) == 0;) {
      if (ended_) return;
      if (signal != SIGUSR1) run_.request_stop();
    }
  }

  LocalRun& run_;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

int events_descriptor() {
  const char* text = std::getenv("UMBEL_EVENTS_FD");
  int descriptor = -1;
  if (text) std::from_chars(text, text + std::strlen(text), descriptor);
  return descriptor;
}

// Updates of a model are allocated and freed for every client: keep that memory instead of giving
// it back to the kernel and faulting it in again, page by page.
void keep_freed_memory() {
#if defined(__GLIBC__)
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 512 << 20);
  ::mallopt(M_TOP_PAD, 16 << 20);
#endif
}

}  // namespace

namespace {

// A ClientApp's process at a node.  SIGTERM ends it as any program: the node keeps what counts.
int run_client(const ClientApp& client) {
  Result<std::optional<runner::Channel>> channel = runner::Channel::inherited();
  if (!channel.ok() || !*channel) {
    std::fprintf(stderr, "--umbel-client: %s\n",
                 channel.ok() ? "a SuperNode starts this" : message_of(channel.status()).c_str());
    return kExitArguments;
  }
  return runner::run_client_process(**std::move(channel), client);
}

// The ServerApp's process: in a simulation, or at a SuperLink if it was given a channel.
int run_server(const char* spec_path, const ServerApp& server, const ClientApp& client) {
  StopOnSignal::block();
  Events events(events_descriptor());
  Result<RunSpec> spec = read_run_spec(spec_path);
  Result<std::optional<runner::Channel>> channel = runner::Channel::inherited();
  const Status status = spec.ok() ? channel.status() : spec.status();
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", message_of(status).c_str());
    events.finished({.status = "failed", .error = message_of(status), .exit_code = kExitArguments});
    return kExitArguments;
  }
  const MakeCarrier carrier = *channel ? deployed(**std::move(channel)) : simulated(client);
  int code = 0;
  {
    LocalRun run(*std::move(spec), carrier, events);
    StopOnSignal stop(run);
    stop.start();
    code = run.run(server);
    if (!run.shut_down()) {
      // Some client's code has not returned and may never: leave without waiting for it.
      std::fflush(nullptr);
      ::_exit(code);
    }
  }
  return code;
}

}  // namespace

int run_app(int argc, const char* const* argv, const ServerApp& server, const ClientApp& client) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  const bool is_client = argc == 2 && mode == "--umbel-client";
  if (!is_client && (argc != 3 || mode != "--umbel-run")) {
    std::fprintf(stderr,
                 "This is a federated app.  Start it with `umbel run` in the app's folder.\n");
    return kExitArguments;
  }
  ::signal(SIGPIPE, SIG_IGN);
  keep_freed_memory();
  return is_client ? run_client(client) : run_server(argv[2], server, client);
}

}  // namespace umbel
