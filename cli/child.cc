#include "child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "signal_watch.h"

namespace umbel::cli {

namespace {

constexpr int kPipeBytes = 1 << 20;  // an app does not wait while we write to disk

struct Pipe {
  Descriptor read, write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return unavailable("cannot make a pipe: {}", std::strerror(errno));
  }
  fcntl(ends[0], F_SETPIPE_SZ, kPipeBytes);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

// What the child needs between fork and exec, made before the fork: nothing is allocated there.
struct Prepared {
  std::vector<char*> arguments, environment;
  std::vector<std::string> settings;
  std::string program, folder;
  int output, errors, events, failure;
  pid_t parent;
  bool has_terminal, gets_terminal;
};

// Who reads the terminal, if there is one.  A process in the background may not say so unless it
// blocks the signal that it gets for it.
void give_terminal_to(pid_t group) {
  sigset_t terminal, before;
  sigemptyset(&terminal);
  sigaddset(&terminal, SIGTTOU);
  sigprocmask(SIG_BLOCK, &terminal, &before);
  tcsetpgrp(STDIN_FILENO, group);
  sigprocmask(SIG_SETMASK, &before, nullptr);
}

[[noreturn]] void become(Prepared& prepared) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != prepared.parent) _exit(127);  // it died before the line above
  if (prepared.gets_terminal) give_terminal_to(getpid());
  reset_signals();
  if (prepared.has_terminal) {
    signal(SIGTSTP, SIG_IGN);  // nobody would wake it
  } else {
    const int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, 0);
    dup2(prepared.output, 1);
    dup2(prepared.errors, 2);
  }
  if (prepared.events >= 0) fcntl(prepared.events, F_SETFD, 0);
  if (prepared.folder.empty() || chdir(prepared.folder.c_str()) == 0) {
    execve(prepared.program.c_str(), prepared.arguments.data(), prepared.environment.data());
  }
  const int reason = errno;
  const ssize_t ignored = write(prepared.failure, &reason, sizeof reason);
  _exit(ignored > 0 ? 127 : 126);
}

void prepare_texts(const ChildCommand& command, Prepared& prepared) {
  for (const std::string& argument : command.arguments) {
    prepared.arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  prepared.arguments.push_back(nullptr);
  auto given = command.environment;
  if (!command.events_variable.empty()) {
    given.emplace_back(command.events_variable, std::to_string(prepared.events));
  }
  for (const auto& [name, value] : given) prepared.settings.push_back(name + "=" + value);
  for (std::string& setting : prepared.settings) prepared.environment.push_back(setting.data());
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view setting(*entry);
    const auto is_given = [&](const auto& one) {
      return setting.starts_with(one.first) && setting.substr(one.first.size()).starts_with('=');
    };
    if (std::ranges::none_of(given, is_given)) prepared.environment.push_back(*entry);
  }
  prepared.environment.push_back(nullptr);
}

}  // namespace

void Descriptor::reset() {
  if (value_ >= 0) close(std::exchange(value_, -1));
}

Result<Child> Child::start(const ChildCommand& command) {
  Prepared prepared;
  prepared.program = find_program(command.arguments.front());
  if (prepared.program.empty()) {
    return not_found("{}: no such program, or not executable", command.arguments.front());
  }
  Pipe output, errors, events;
  const bool piped = command.log < 0 && !command.has_terminal;
  if (piped) {
    UMBEL_ASSIGN_OR_RETURN(output, make_pipe());
    UMBEL_ASSIGN_OR_RETURN(errors, make_pipe());
  }
  if (!command.events_variable.empty()) {
    UMBEL_ASSIGN_OR_RETURN(events, make_pipe());
  }
  UMBEL_ASSIGN_OR_RETURN(Pipe failure, make_pipe());
  fcntl(failure.read.get(), F_SETFL, 0);
  prepared.folder = command.folder.string();
  prepared.output = piped ? output.write.get() : command.log;
  prepared.errors = piped ? errors.write.get() : command.log;
  prepared.has_terminal = command.has_terminal;
  prepared.gets_terminal = command.has_terminal && tcgetpgrp(STDIN_FILENO) == getpgrp();
  prepared.events = events.write.get();
  prepared.failure = failure.write.get();
  prepared.parent = getpid();
  prepare_texts(command, prepared);

  const pid_t pid = fork();
  if (pid < 0) return unavailable("cannot start a process: {}", std::strerror(errno));
  if (pid == 0) become(prepared);
  setpgid(pid, pid);  // here too: whichever of the two comes first
  Child child(pid);
  child.has_terminal_ = prepared.gets_terminal;
  if (child.has_terminal_) give_terminal_to(pid);
  child.ended_ = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  child.output_ = std::move(output.read);
  child.errors_ = std::move(errors.read);
  child.events_ = std::move(events.read);
  failure.write.reset();
  int reason = 0;
  if (read(failure.read.get(), &reason, sizeof reason) == static_cast<ssize_t>(sizeof reason)) {
    return unavailable("{}: cannot start it: {}", prepared.program, std::strerror(reason));
  }
  return child;
}

Child::~Child() {
  if (pid_.value == 0) return;
  signal_group(SIGKILL);
  wait();
}

void Child::signal_group(int signal) const {
  if (pid_.value != 0) kill(-pid_.value, signal);
}

int Child::wait() {
  siginfo_t info;
  const auto pid = static_cast<id_t>(pid_.value);
  while (waitid(P_PID, pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  signal_group(SIGKILL);  // before it is reaped: until then nobody else can have its group's id
  int status = 0;
  rusage used{};
  while (wait4(pid_.value, &status, 0, &used) < 0 && errno == EINTR) {
  }
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  cpu_seconds_ = seconds(used.ru_utime) + seconds(used.ru_stime);
  pid_.value = 0;
  if (has_terminal_) give_terminal_to(getpgrp());
  return status;
}

std::string describe_end(int wait_status) {
  if (WIFEXITED(wait_status))
    return fmt::format("ended with exit code {}", WEXITSTATUS(wait_status));
  const int signal = WTERMSIG(wait_status);
  return fmt::format("was ended by signal {} ({})", signal, strsignal(signal));
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0 ? name : "";
  const char* variable = std::getenv("PATH");
  const std::string path = variable != nullptr ? variable : "/usr/local/bin:/usr/bin:/bin";
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find(':', at), path.size());
    const std::string folder = path.substr(at, end - at);
    std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    at = end + 1;
  }
  return "";
}

}  // namespace umbel::cli
