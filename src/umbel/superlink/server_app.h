#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "umbel/base/large_blocks.h"
#include "umbel/runner/channel.h"
#include "umbel/runner/child_process.h"
#include "umbel/superlink/blobs.h"
#include "umbel/superlink/fleet.h"
#include "umbel/superlink/run_events.h"
#include "umbel/superlink/task_queue.h"
#include "umbel/wire/runtime.h"

namespace umbel::superlink {

// One start of a run's ServerApp: its process, what it asks of the federation, and its events.
class ServerAppProcess {
 public:
  struct Parts {  // that outlive it
    Fleet& fleet;
    MemoryBudget& memory;
    Blobs& blobs;
    Timers& timers;
    Store& store;
    RunEvents& events;
  };
  struct Options {
    wire::RunInfo run;
    std::vector<uint64_t> members;     // client i is at node members[i]
    std::vector<std::string> command;  // the program, or the interpreter, and its arguments
    std::vector<std::pair<std::string, std::string>> environment;
    std::filesystem::path folder, spec;
    bool single_replies = true;  // whether push() is allowed
  };
  static Result<std::unique_ptr<ServerAppProcess>> start(Options options, Parts parts);
  ~ServerAppProcess();  // kills it, and gives up on all that is out

  // Waits for its end; how it ended: "exited with 1".
  std::string wait();
  // Asks it to stop; kills it after `grace`.  Any thread.
  void terminate(std::chrono::milliseconds grace);
  // Ends it as a crash would, for a run that is to go on later: it does not conclude anything.
  void kill();
  // What it did that no ServerApp of ours does; it is killed then.
  Status fault() const;

 private:
  ServerAppProcess(Options options, Parts parts, runner::Channel channel);
  void read_frames();
  void read_events(Descriptor pipe);
  void end_events();
  Status on_frame(runner::Channel::Frame frame);
  Status on_fold(wire::FoldCall call, Descriptor blob);
  Status on_push(wire::Push push, Descriptor blob);
  Status on_weight(const wire::Weight& weight);
  Result<wire::BlobRef> publish(const wire::BlobRef& blob, Descriptor descriptor,
                                const std::vector<uint64_t>& clients);
  void close_fold(uint64_t call);
  void send(const wire::DaemonFrame& frame, const SharedBlob* blob = nullptr);
  void give_up(const Status& status);

  struct Fold {
    std::shared_ptr<Collection> collection;
    uint64_t blob = 0;
    std::vector<uint64_t> timers;
  };

  // A round's sums take the memory of the one before: new pages cost as much as decrypting what is
  // summed up in them.
  static constexpr size_t kSumsBytesKept = size_t{4} << 30;

  const KeepLargeBlocks sums_kept_{kSumsBytesKept};
  const Options options_;
  Parts parts_;
  runner::Channel channel_;
  std::unique_ptr<runner::ChildProcess> child_;
  std::shared_ptr<Collection> mail_;  // messages and replies one by one
  mutable absl::Mutex mutex_;
  std::map<uint64_t, Fold> folds_ ABSL_GUARDED_BY(mutex_);           // by call
  std::map<uint64_t, uint64_t> mail_blobs_ ABSL_GUARDED_BY(mutex_);  // message -> blob
  std::map<uint64_t, uint64_t> weighing_ ABSL_GUARDED_BY(mutex_);    // instruction -> call
  Status fault_ ABSL_GUARDED_BY(mutex_);
  // Shared with the hooks of collections: they may be in a call while this object goes.
  std::shared_ptr<TaskQueue> tasks_ = std::make_shared<TaskQueue>();
  Descriptor ended_;  // an eventfd: the process is over, what is in the pipe is all there is
  std::thread frames_, events_;
};

}  // namespace umbel::superlink
