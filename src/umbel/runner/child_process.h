#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"

namespace umbel::runner {

// How a process ended that waitpid() gave this status of: "exited with 1", "killed by SIGKILL".
std::string describe_end(int status);

// An app's process as a daemon starts it: in a process group of its own, killed when the daemon
// dies (what it started itself is not: an app must not outlive its channel), no core dumps, nothing
// of the daemon's environment but PATH, HOME, LANG, TZ, some variables by which numerical libraries
// choose their code (OPENBLAS_CORETYPE, OMP_NUM_THREADS, ...) and what is given, no descriptor but
// its standard ones and those given, no signal blocked or ignored.
struct ProcessOptions {
  std::vector<std::string> arguments;  // [0] is the program; without a "/" it is looked for in PATH
  std::filesystem::path folder;        // its working directory
  std::vector<std::pair<std::string, std::string>> environment;
  // Descriptors to inherit, each under a variable that names it: {"UMBEL_CHANNEL_FD", fd}.
  std::vector<std::pair<std::string, int>> descriptors;
  // A line of its standard output or error, control characters and all, at most 4 KiB (longer lines
  // come in pieces).  From a thread of the process's own.  May be empty: then the output is
  // dropped.
  std::function<void(bool is_error, std::string_view line)> on_line;
  // Instead of the few: the whole environment of this process, but what names its own descriptors.
  bool whole_environment = false;
  // Without on_line: it has this process's own standard output and error.
  bool same_output = false;
  // Once it has ended, before its last lines.  From a thread of the process's own.
  std::function<void()> on_end = {};
  // Lines beyond this many bytes in all are dropped, after one that says so.
  size_t output_bytes_max = size_t{64} << 20;
};

class ChildProcess {
 public:
  // UNAVAILABLE that names the program if it cannot be started.
  static Result<std::unique_ptr<ChildProcess>> start(ProcessOptions options);
  ~ChildProcess();  // kill(), and waits; not from on_line

  pid_t pid() const { return pid_; }
  // SIGTERM, then SIGKILL after `grace`, to all of its group, from a thread of its own.
  void terminate(std::chrono::milliseconds grace);
  void kill();
  // Waits for the end, and for all of its output to have been read; "exited with 1", "killed by
  // SIGKILL". Whatever it left running in its group is killed.  Any number of threads.
  std::string wait();
  // Whether it ended, and was heard out, within `at_most`.
  bool wait_for(std::chrono::milliseconds at_most);
  bool has_ended() const;

 private:
  struct State;
  explicit ChildProcess(std::shared_ptr<State> state, pid_t pid);
  std::shared_ptr<State> state_;
  pid_t pid_;
};

}  // namespace umbel::runner
