#include "umbel/main/host.h"

#include <malloc.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "umbel/main/local_run.h"
#include "umbel/runner/client_process.h"

namespace umbel {

namespace {

sigset_t stop_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) ::sigaddset(&set, signal);
  return set;
}

constexpr std::array<int, 3> kStopSignals{SIGTERM, SIGINT, SIGHUP};
// What the handler knows: it is one for the whole process.
pthread_t waiting_thread;
pid_t waiting_process = 0;

// Of a thread that has them let through.
void hand_on(int signal) {
  if (::getpid() == waiting_process) {
    ::pthread_kill(waiting_thread, signal);
    return;
  }
  ::signal(signal, SIG_DFL);  // a process that was forked has nobody who waits
  ::raise(signal);
}

}  // namespace

void StopOnSignal::block() {
  const sigset_t set = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

StopOnSignal::StopOnSignal(std::function<void()> stop)
    : stop_(std::move(stop)), thread_([this] { wait(); }) {
  waiting_thread = thread_.native_handle();
  waiting_process = ::getpid();
  struct sigaction action {};
  action.sa_handler = hand_on;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i != kStopSignals.size(); ++i) {
    ::sigaction(kStopSignals[i], &action, &before_[i]);
  }
}

StopOnSignal::~StopOnSignal() {
  for (size_t i = 0; i != kStopSignals.size(); ++i) {
    ::sigaction(kStopSignals[i], &before_[i], nullptr);
  }
  ended_ = true;
  ::pthread_kill(thread_.native_handle(), SIGUSR1);
  thread_.join();
}

void StopOnSignal::wait() {
  const sigset_t set = stop_signals();
  for (int signal = 0; ::sigwait(&set, &signal) == 0;) {
    if (ended_) return;
    if (signal != SIGUSR1) stop_();
  }
}

SignalsLetThrough::SignalsLetThrough() {
  const sigset_t set = stop_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &set, &before_);
}

SignalsLetThrough::~SignalsLetThrough() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

int events_descriptor() {
  const char* text = std::getenv("UMBEL_EVENTS_FD");
  int descriptor = -1;
  if (text) std::from_chars(text, text + std::strlen(text), descriptor);
  return descriptor;
}

void keep_freed_memory() {
#if defined(__GLIBC__)
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 512 << 20);
  ::mallopt(M_TOP_PAD, 16 << 20);
#endif
}

namespace {

int refuse_run(Events& events, const Status& status) {
  std::fprintf(stderr, "%s\n", message_of(status).c_str());
  events.finished({.status = "failed", .error = message_of(status), .exit_code = kExitArguments});
  return kExitArguments;
}

}  // namespace

int host_run(const char* spec_path, const ServerApp& server, const MakeCarrier& simulation) {
  StopOnSignal::block();
  Events events(events_descriptor());
  Result<RunSpec> spec = read_run_spec(spec_path);
  Result<std::optional<runner::Channel>> channel = runner::Channel::inherited();
  const Status status = spec.ok() ? channel.status() : spec.status();
  if (!status.ok()) return refuse_run(events, status);
  const MakeCarrier carrier = *channel ? deployed(**std::move(channel)) : simulation;
  std::optional<LocalRun> run;
  try {
    run.emplace(*std::move(spec), carrier, events);
  } catch (const Error& error) {
    return refuse_run(events, error.status());
  }
  const StopOnSignal stop([&run] { run->request_stop(); });
  const int code = run->run(server);
  if (run->shut_down()) return code;
  // Some client's code has not returned and may never: leave without waiting for it.
  std::fflush(nullptr);
  ::_exit(code);
}

int host_clients(const ClientHandler& client) {
  Result<std::optional<runner::Channel>> channel = runner::Channel::inherited();
  if (channel.ok() && *channel) return runner::run_client_process(**std::move(channel), client);
  std::fprintf(stderr, "--umbel-client: %s\n",
               channel.ok() ? "a SuperNode starts this" : message_of(channel.status()).c_str());
  return kExitArguments;
}

}  // namespace umbel
