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

int run_app(int argc, const char* const* argv, const ServerApp& server, const ClientApp& client) {
  if (argc != 3 || std::string_view(argv[1]) != "--umbel-run") {
    std::fprintf(stderr,
                 "This is a federated app.  Start it with `umbel run` in the app's folder.\n");
    return kExitArguments;
  }
  ::signal(SIGPIPE, SIG_IGN);
  StopOnSignal::block();
  keep_freed_memory();
  Events events(events_descriptor());
  Result<RunSpec> spec = read_run_spec(argv[2]);
  if (!spec.ok()) {
    std::fprintf(stderr, "%s\n", message_of(spec.status()).c_str());
    events.finished(
        {.status = "failed", .error = message_of(spec.status()), .exit_code = kExitArguments});
    return kExitArguments;
  }
  int code = 0;
  {
    LocalRun run(*std::move(spec), client, events);
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

}  // namespace umbel
