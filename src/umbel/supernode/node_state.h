#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "umbel/base/ids.h"

namespace umbel::supernode {

// What a node knows of its work, and what to do next, as values: no clock, thread, socket or bytes.
// An instruction goes through these stages; cancel, done and the end of its run drop it anywhere.
//
//   kFetching -> kWaiting -> kRunning -> kKept      (or from any of them to kKept, by a failure)
//
// kFetching: its bundle or blob is not here yet.  kWaiting: for a process of its run, which handles
// one at a time.  kKept: its reply is here, sent, and kept until the hub has no more use for it.
enum class Stage { kFetching, kWaiting, kRunning, kKept };

struct Assignment {
  uint64_t instruction = 0;
  RunId run;
  std::string bundle;   // to fetch first; "" if none is needed
  uint64_t blob = 0;    // to fetch first; 0 if none is needed
  std::string refusal;  // not "": why it is answered with an error at once
};

namespace action {
struct FetchBundle {
  std::string sha256;
};
struct FetchBlob {
  uint64_t blob;
};
struct DropBlob {  // nobody needs it any more: end its fetch, or free it
  uint64_t blob;
};
struct StartProcess {
  RunId run;
};
struct Handle {  // give it to its run's process
  uint64_t instruction;
};
struct EndProcess {  // process_ended() follows
  RunId run;
  bool at_once;
};
struct SendResult {  // its reply is here
  uint64_t instruction;
};
struct Fail {  // its reply is this error
  uint64_t instruction;
  std::string reason;
};
struct StartUpload {
  uint64_t instruction;
  uint64_t offset;
};
struct StopUpload {
  uint64_t instruction;
};
struct Forget {  // free what is kept of it
  uint64_t instruction;
};
}  // namespace action
using Action =
    std::variant<action::FetchBundle, action::FetchBlob, action::DropBlob, action::StartProcess,
                 action::Handle, action::EndProcess, action::SendResult, action::Fail,
                 action::StartUpload, action::StopUpload, action::Forget>;

struct NodeLimits {
  // More are answered with an error.  Twice as many, which Hello lists, fit into its 64 KiB.
  size_t instructions_max = 3'000;
  size_t apps_max = 2;  // processes at once
  std::chrono::milliseconds idle_max{600'000};
};

class NodeState {
 public:
  using Time = std::chrono::milliseconds;  // since any fixed moment

  explicit NodeState(NodeLimits limits) : limits_(limits) {}

  // What happened.  What is unknown, or came too late, changes nothing.
  void assign(const Assignment& assignment, Time now);
  void bundle_fetched(const std::string& sha256, const std::string& error, Time now);  // "": OK
  void blob_fetched(uint64_t blob, const std::string& error, Time now);
  void handled(uint64_t instruction, Time now);
  void process_ended(RunId run, const std::string& how, Time now);
  void cancel(uint64_t instruction, Time now);
  void upload(uint64_t instruction, uint64_t offset);
  void upload_ended(uint64_t instruction);
  void done(uint64_t instruction, Time now) { cancel(instruction, now); }
  void run_ended(RunId run, Time now);
  // A session was opened: of what was held when it said hello, the hub still wants `keep`.
  void connected(std::span<const uint64_t> held, std::span<const uint64_t> keep, Time now);
  // No further work: what does not run yet is answered with an error.
  void drain(Time now);
  // Ends processes that were idle for too long.
  void tick(Time now);

  // What to do now, in order; each once.
  std::vector<Action> take_actions();

  // All instructions that were not dropped, as Hello lists them.
  std::vector<uint64_t> holding() const;
  std::optional<Stage> stage(uint64_t instruction) const;
  bool has_process(RunId run) const { return processes_.contains(run); }
  std::optional<uint64_t> running(RunId run) const;
  size_t process_count() const { return processes_.size(); }
  size_t count(Stage stage) const;
  bool is_draining() const { return draining_; }
  bool is_idle() const { return work_.empty(); }

 private:
  struct Work {
    RunId run;
    std::string bundle;  // "" once it is here
    uint64_t blob = 0;
    Stage stage = Stage::kFetching;
    bool begun_again = false;  // after its process was killed
    bool uploading = false;
    std::optional<uint64_t> upload_next;  // asked for while another upload was under way
  };
  struct Process {
    std::optional<uint64_t> running;
    bool ending = false;
    Time idle_since{0};
  };
  struct Blob {
    std::set<uint64_t> needed_by;
    bool here = false;
  };
  using Works = std::map<uint64_t, Work>;

  void drop(Works::iterator found);
  void fail(Works::iterator found, const std::string& reason);
  void release_blob(uint64_t instruction, Work& work);
  void leave_process(uint64_t instruction, const Work& work);
  bool is_ready(const Work& work) const;
  void schedule(Time now);
  void make_room(size_t wanted);
  std::set<RunId> waiting_runs() const;

  const NodeLimits limits_;
  Works work_;  // by instruction: hubs number them upwards, so this is the order of arrival too
  std::map<RunId, Process> processes_;
  std::map<uint64_t, Blob> blobs_;
  std::map<std::string, bool> bundles_;  // whether it is here
  std::vector<Action> actions_;
  bool draining_ = false;
};

}  // namespace umbel::supernode
