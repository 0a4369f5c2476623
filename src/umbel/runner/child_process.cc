#include "umbel/runner/child_process.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <thread>

namespace umbel::runner {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kLineBytesMax = 4096;
constexpr size_t kDrainBytesMax = size_t{4} << 20;  // read after the process's end
// The rest is by what a machine's owner tells numerical libraries how to compute: an app has other
// bits without.
constexpr const char* kKept[] = {"PATH",
                                 "HOME",
                                 "LANG",
                                 "TZ",
                                 "OMP_NUM_THREADS",
                                 "OPENBLAS_NUM_THREADS",
                                 "OPENBLAS_CORETYPE",
                                 "ATEN_CPU_CAPABILITY",
                                 "DNNL_MAX_CPU_ISA",
                                 "ONEDNN_MAX_CPU_ISA",
                                 "MKL_CBWR"};

struct Pipe {
  Descriptor read, write;
};

Result<Pipe> make_pipe(int flags = 0) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | flags) != 0) {
    return resource_exhausted("cannot make a pipe: {}", std::strerror(errno));
  }
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

std::string program_of(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* variable = std::getenv("PATH");
  const std::string path = variable ? variable : "/usr/local/bin:/usr/bin:/bin";
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find(':', at), path.size());
    const std::string candidate = path.substr(at, end - at) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    at = end + 1;
  }
  return name;
}

// What the child needs between fork and exec, made before the fork: nothing is allocated there.
struct Prepared {
  std::string program, folder;
  std::vector<std::string> texts;
  std::vector<char*> arguments, environment;
  std::vector<int> inherited;
  int nothing = -1, output = -1, errors = -1, failure = -1;
  pid_t parent = 0;
};

bool names_descriptor(std::string_view variable) {
  const std::string_view name = variable.substr(0, variable.find('='));
  return name.starts_with("UMBEL_") && name.ends_with("_FD");
}

// What it has of this process's environment.
std::vector<std::string> inherited_environment(const ProcessOptions& options) {
  std::vector<std::string> texts;
  if (options.whole_environment) {
    const auto given = [&options](std::string_view variable) {
      return std::ranges::any_of(options.environment, [&](const auto& entry) {
        return variable.substr(0, variable.find('=')) == entry.first;
      });
    };
    for (char** variable = ::environ; *variable; ++variable) {
      if (!names_descriptor(*variable) && !given(*variable)) texts.emplace_back(*variable);
    }
    return texts;
  }
  for (const char* name : kKept) {
    if (const char* value = std::getenv(name)) texts.push_back(fmt::format("{}={}", name, value));
  }
  return texts;
}

Prepared prepare(const ProcessOptions& options) {
  Prepared prepared;
  prepared.program = program_of(options.arguments.front());
  prepared.folder = options.folder.string();
  prepared.texts = inherited_environment(options);
  for (const auto& [name, value] : options.environment) {
    prepared.texts.push_back(fmt::format("{}={}", name, value));
  }
  for (const auto& [name, descriptor] : options.descriptors) {
    prepared.texts.push_back(fmt::format("{}={}", name, descriptor));
    prepared.inherited.push_back(descriptor);
  }
  for (std::string& text : prepared.texts) prepared.environment.push_back(text.data());
  prepared.environment.push_back(nullptr);
  for (const std::string& argument : options.arguments) {
    prepared.arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  prepared.arguments.push_back(nullptr);
  prepared.parent = ::getpid();
  return prepared;
}

// In the child: only what is safe after a fork of a process with threads.
void leave_others_descriptors() {
  if (::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) == 0) return;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const int end = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 20));
  for (int i = 3; i < end; ++i) ::fcntl(i, F_SETFD, FD_CLOEXEC);
}

void reset_signals() {
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &usual, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become(const Prepared& prepared) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != prepared.parent) ::_exit(127);  // it died before the line above
  reset_signals();
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::dup2(prepared.nothing, 0);
  ::dup2(prepared.output, 1);
  ::dup2(prepared.errors, 2);
  leave_others_descriptors();
  for (const int descriptor : prepared.inherited) ::fcntl(descriptor, F_SETFD, 0);
  if (prepared.folder.empty() || ::chdir(prepared.folder.c_str()) == 0) {
    ::execve(prepared.program.c_str(), prepared.arguments.data(), prepared.environment.data());
  }
  const int reason = errno;
  const ssize_t ignored = ::write(prepared.failure, &reason, sizeof reason);
  ::_exit(ignored > 0 ? 127 : 126);
}

std::string exited_with(int code) { return fmt::format("exited with {}", code); }
std::string killed_by(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return fmt::format("killed by {}{}", name ? "SIG" : "signal ",
                     name ? std::string(name) : std::to_string(signal));
}
std::string describe(const siginfo_t& info) {
  return info.si_code == CLD_EXITED ? exited_with(info.si_status) : killed_by(info.si_status);
}

// One of the child's two streams, cut into lines.
class Lines {
 public:
  Lines(Descriptor pipe, bool is_error, const ProcessOptions& options, size_t& bytes)
      : pipe_(std::move(pipe)), is_error_(is_error), options_(options), bytes_(bytes) {}

  int descriptor() const { return pipe_.get(); }  // -1 at its end
  // Reads what is there, `most` bytes of it; false if there was nothing.
  bool read_some(size_t most) {
    std::array<char, 16 << 10> chunk;
    const ssize_t got = ::read(pipe_.get(), chunk.data(), std::min(most, chunk.size()));
    if (got < 0 && errno == EINTR) return true;
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) {
      finish();
      return false;
    }
    take({chunk.data(), static_cast<size_t>(got)});
    return true;
  }
  void finish() {
    if (!line_.empty()) give();
    pipe_ = Descriptor();
  }

 private:
  void take(std::string_view text) {
    while (!text.empty()) {
      const size_t end = text.find('\n');
      const size_t most = std::min(std::min(end, text.size()), kLineBytesMax - line_.size());
      line_ += text.substr(0, most);
      text.remove_prefix(most);
      const bool ended = !text.empty() && text.front() == '\n';
      if (ended) text.remove_prefix(1);
      if (ended || line_.size() == kLineBytesMax) give();
    }
  }
  void give() {
    const size_t most = options_.output_bytes_max;
    const bool fits = bytes_ <= most && line_.size() <= most - bytes_;
    if (fits && options_.on_line) options_.on_line(is_error_, line_);
    if (!fits && bytes_ != SIZE_MAX && options_.on_line) {
      options_.on_line(true, fmt::format("more than {} bytes of output: the rest is dropped",
                                         options_.output_bytes_max));
    }
    bytes_ = fits ? bytes_ + line_.size() : SIZE_MAX;
    line_.clear();
  }

  Descriptor pipe_;
  const bool is_error_;
  const ProcessOptions& options_;
  size_t& bytes_;  // of both streams so far; SIZE_MAX once they were too many
  std::string line_;
};

}  // namespace

std::string describe_end(int status) {
  return WIFEXITED(status) ? exited_with(WEXITSTATUS(status)) : killed_by(WTERMSIG(status));
}

// One thread forks the child, reads what it says, and takes its end.  So the thread that the
// kernel calls the child's parent lives as long as the child: PR_SET_PDEATHSIG is per thread.
struct ChildProcess::State {
  explicit State(ProcessOptions given) : options(std::move(given)) {}

  void run();
  Status fork_child(std::array<Pipe, 2>& pipes);
  void watch(std::array<Pipe, 2>& pipes);
  int milliseconds_left();
  void reap();
  void signal(int number) {
    absl::MutexLock lock(&mutex);
    if (!reaped) ::kill(-pid, number);
  }
  void poke() {
    const uint64_t one = 1;
    const ssize_t ignored = ::write(wake.get(), &one, sizeof one);
    (void)ignored;  // it is poked already
  }

  const ProcessOptions options;
  Descriptor wake, ended;
  pid_t pid = 0;
  absl::Mutex mutex;
  std::optional<Status> started ABSL_GUARDED_BY(mutex);
  bool reaped ABSL_GUARDED_BY(mutex) = false;
  bool over ABSL_GUARDED_BY(mutex) = false;
  std::string end ABSL_GUARDED_BY(mutex);
  std::optional<Clock::time_point> kill_at ABSL_GUARDED_BY(mutex);
  std::jthread thread;
};

Status ChildProcess::State::fork_child(std::array<Pipe, 2>& pipes) {
  wake = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const Descriptor nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!wake || !nothing) {
    return resource_exhausted("cannot start a process: {}", std::strerror(errno));
  }
  Prepared prepared = prepare(options);
  prepared.nothing = prepared.output = prepared.errors = nothing.get();
  if (options.on_line) {
    for (Pipe& pipe : pipes) {
      UMBEL_ASSIGN_OR_RETURN(pipe, make_pipe());
      ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK);
    }
    prepared.output = pipes[0].write.get();
    prepared.errors = pipes[1].write.get();
  } else if (options.same_output) {
    prepared.output = STDOUT_FILENO;
    prepared.errors = STDERR_FILENO;
  }
  UMBEL_ASSIGN_OR_RETURN(Pipe failure, make_pipe());
  prepared.failure = failure.write.get();

  pid = ::fork();
  if (pid < 0) return resource_exhausted("cannot start a process: {}", std::strerror(errno));
  if (pid == 0) become(prepared);
  ::setpgid(pid, pid);  // here too: whichever of the two comes first
  ended = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  failure.write = Descriptor();
  for (Pipe& pipe : pipes) pipe.write = Descriptor();
  int reason = 0;
  ssize_t got = 0;
  while ((got = ::read(failure.read.get(), &reason, sizeof reason)) < 0 && errno == EINTR) {
  }
  if (got == 0 && ended) return absl::OkStatus();
  if (got == 0) {  // it runs, but its end could not be seen: a kernel before 5.3
    reason = ENOSYS;
    ::kill(pid, SIGKILL);
  }
  reap();
  return unavailable("{}: cannot start it: {}", prepared.program, std::strerror(reason));
}

void ChildProcess::State::run() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  std::array<Pipe, 2> pipes;
  const Status status = fork_child(pipes);
  {
    absl::MutexLock lock(&mutex);
    started = status;
  }
  if (status.ok()) watch(pipes);
}

void ChildProcess::State::watch(std::array<Pipe, 2>& pipes) {
  size_t bytes = 0;
  std::array<Lines, 2> streams = {Lines(std::move(pipes[0].read), false, options, bytes),
                                  Lines(std::move(pipes[1].read), true, options, bytes)};
  for (bool running = true; running;) {
    std::array<pollfd, 4> waits = {pollfd{streams[0].descriptor(), POLLIN, 0},
                                   pollfd{streams[1].descriptor(), POLLIN, 0},
                                   pollfd{ended.get(), POLLIN, 0}, pollfd{wake.get(), POLLIN, 0}};
    ::poll(waits.data(), waits.size(), milliseconds_left());
    uint64_t ignored = 0;
    if (waits[3].revents && ::read(wake.get(), &ignored, sizeof ignored) < 0) continue;
    for (size_t i = 0; i != 2; ++i) {
      if (waits[i].revents) streams[i].read_some(SIZE_MAX);
    }
    running = waits[2].revents == 0;
  }
  reap();
  if (options.on_end) options.on_end();
  for (Lines& stream : streams) {
    // What it wrote before its end is in the pipe; who left its group may hold the pipe for ever.
    for (size_t read = 0; stream.descriptor() >= 0 && read < kDrainBytesMax; read += 16 << 10) {
      if (!stream.read_some(SIZE_MAX)) break;
    }
    if (stream.descriptor() >= 0) stream.finish();
  }
  absl::MutexLock lock(&mutex);
  over = true;
}

// Until SIGKILL is due, which is sent here when it is.
int ChildProcess::State::milliseconds_left() {
  absl::MutexLock lock(&mutex);
  if (!kill_at) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*kill_at - Clock::now()).count();
  if (left > 0) return static_cast<int>(std::min<int64_t>(left, 60'000));
  ::kill(-pid, SIGKILL);
  kill_at.reset();
  return -1;
}

void ChildProcess::State::reap() {
  absl::MutexLock lock(&mutex);
  siginfo_t info{};
  const auto id = static_cast<id_t>(pid);
  while (::waitid(P_PID, id, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  ::kill(-pid, SIGKILL);  // before it is reaped: until then nobody else can have its group's id
  while (::waitid(P_PID, id, &info, WEXITED) != 0 && errno == EINTR) {
  }
  end = describe(info);
  reaped = true;
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::start(ProcessOptions options) {
  if (options.arguments.empty()) return invalid_argument("a process without a program");
  auto state = std::make_shared<State>(std::move(options));
  state->thread = std::jthread([raw = state.get()] { raw->run(); });
  {
    absl::MutexLock lock(&state->mutex);
    const auto known = [&state]()
                           ABSL_NO_THREAD_SAFETY_ANALYSIS { return state->started.has_value(); };
    state->mutex.Await(absl::Condition(&known));
    UMBEL_RETURN_IF_ERROR(*state->started);
  }
  const pid_t pid = state->pid;
  return std::unique_ptr<ChildProcess>(new ChildProcess(std::move(state), pid));
}

ChildProcess::ChildProcess(std::shared_ptr<State> state, pid_t pid)
    : state_(std::move(state)), pid_(pid) {}

ChildProcess::~ChildProcess() { kill(); }  // the state joins its thread

void ChildProcess::terminate(std::chrono::milliseconds grace) {
  state_->signal(SIGTERM);
  {
    absl::MutexLock lock(&state_->mutex);
    state_->kill_at = Clock::now() + grace;
  }
  state_->poke();
}

void ChildProcess::kill() { state_->signal(SIGKILL); }

std::string ChildProcess::wait() {
  absl::MutexLock lock(&state_->mutex);
  state_->mutex.Await(absl::Condition(&state_->over));
  return state_->end;
}

bool ChildProcess::wait_for(std::chrono::milliseconds at_most) {
  absl::MutexLock lock(&state_->mutex);
  return state_->mutex.AwaitWithTimeout(absl::Condition(&state_->over), absl::FromChrono(at_most));
}

bool ChildProcess::has_ended() const {
  absl::MutexLock lock(&state_->mutex);
  return state_->over;
}

}  // namespace umbel::runner
