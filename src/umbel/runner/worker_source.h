#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "umbel/runner/channel.h"

namespace umbel::runner {

// Where processes of ClientApps come from.  Any threads.
class WorkerSource {
 public:
  struct Worker {
    Channel channel;  // our end
    uint64_t id = 0;  // not used for another worker of this source
  };
  struct End {
    std::string how;      // "exited with 1", "killed by SIGSEGV"
    bool killed = false;  // by us
  };
  virtual ~WorkerSource() = default;  // kills the workers that are left, and waits for them

  // A process that was just started, and speaks run_client_process() at the other end.  When it
  // ends, the channel is shut down, whoever else has its other end.  UNAVAILABLE that says why
  // there is none, INVALID_ARGUMENT if the app cannot be loaded.
  virtual Result<Worker> start() = 0;
  // With all that it started.  Does nothing if it has ended.
  virtual void kill(uint64_t id) = 0;
  // Waits for its end, and kills it if that does not come within `grace`.  Once for each worker.
  virtual End wait(uint64_t id, std::chrono::milliseconds grace) = 0;
  // Kills all workers, and starts no more: start() returns at once, also where it is under way.
  virtual void stop() = 0;
};

// How a program is started here: with the environment of this process, and these variables besides.
struct WorkerCommand {
  std::vector<std::string> arguments;  // [0] is the program; without a "/" it is looked for in PATH
  std::filesystem::path folder;        // its working directory; empty: ours
  std::vector<std::pair<std::string, std::string>> environment = {};
  // A line of its output; empty: it has our standard output and error.  From any thread.
  std::function<void(bool is_error, std::string_view line)> on_line = {};
};

// Each worker is a program of its own: COMMAND..., with UMBEL_CHANNEL_FD.
std::unique_ptr<WorkerSource> exec_workers(WorkerCommand command);

// A zygote makes the workers: a process that has loaded the app once and forks at our word
// (docs/app-process.md).  `control` is our end of its control socket; the zygote ends, with its
// workers, when that closes.
std::unique_ptr<WorkerSource> zygote_workers(Descriptor control);
// Starts COMMAND... as a zygote, with UMBEL_CONTROL_FD.  UNAVAILABLE if it cannot be started.
Result<std::unique_ptr<WorkerSource>> exec_zygote(WorkerCommand command);

// The descriptor of a zygote's control socket, in its environment.
inline constexpr char kControlVariable[] = "UMBEL_CONTROL_FD";
// Both ends of a control socket: ours, and the zygote's, which closes on exec.
Result<std::pair<Descriptor, Descriptor>> make_control_pair();

}  // namespace umbel::runner
