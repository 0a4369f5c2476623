#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "umbel/superlink/bundles.h"
#include "umbel/superlink/server_app.h"

namespace umbel::superlink {

// What a user asks for.
struct RunRequest {
  std::string bundle;
  uint64_t nodes = 0;
  uint64_t seed = 1;
  double wait_seconds = 60;
  ConfigRecord config;
  std::vector<std::string> origins;
};

inline constexpr size_t kRunsQueuedMax = 1'000;
inline constexpr size_t kRunsQueuedOwnMax = 200;  // of one account
inline constexpr int kRestartsInARowMax = 3;      // of a ServerApp, without a round between them

// The runs of this hub: queued, carried out, stopped, remembered.  A run that was under way when
// the hub went down goes on from its last finished round.  Any thread.
class Runs {
 public:
  struct Options {
    std::filesystem::path folder;
    size_t runs_max = 3;  // at the same time
    bool single_replies = true;
    std::string python;  // the interpreter that the hub's owner named, or ""
  };
  Runs(Fleet& fleet, Store& store, Bundles& bundles, Blobs& blobs, Timers& timers,
       MemoryBudget& memory, Options options);
  ~Runs();

  // Reads what is there, and goes on with what was under way.
  Status load();
  // Ends the ServerApps without ending their runs.
  void shut_down();

  Result<RunRecord> create(const AccountRecord& account, RunRequest request);
  // Those that the account may see, the latest first.  A run of somebody else is as one that is
  // not.
  std::vector<RunRecord> list(const AccountRecord& account) const;
  Result<RunRecord> get(const AccountRecord& account, uint64_t id) const;
  // Stops all that an account has under way, when it is removed.
  void stop_all(const AccountRecord& account);
  Result<RunRecord> stop(const AccountRecord& account, uint64_t id);
  Result<std::shared_ptr<EventLog>> events(const AccountRecord& account, uint64_t id);

  struct Artifact {
    std::string name, sha256;
    uint64_t bytes = 0;
  };
  Result<std::vector<Artifact>> artifacts(const AccountRecord& account, uint64_t id);
  Result<Descriptor> open_artifact(const AccountRecord& account, uint64_t id,
                                   const std::string& name, uint64_t* bytes);

  // Whether the node was asked to run this bundle.
  bool may_fetch(uint64_t node, const std::string& bundle) const;
  void nodes_changed();
  void log(uint64_t node, const wire::NodeLog& line);
  size_t running() const;
  // Rounds and counts for the metrics page, by status.
  std::map<std::string, uint64_t> by_status() const;

 private:
  struct Active {
    std::shared_ptr<RunEvents> events;
    ServerAppProcess* process = nullptr;  // while there is one
    bool stopping = false;
    std::thread thread;
  };
  std::filesystem::path folder_of(RunId run) const;
  Result<std::shared_ptr<EventLog>> open_log(RunId run) const;
  bool may_see(const AccountRecord& account, const RunRecord& run) const;
  Result<RunRecord> get_from_memory(const AccountRecord& account, uint64_t id) const;
  static void forget_settings(RunRecord& run);
  void start_what_can();
  Result<std::vector<uint64_t>> choose_nodes(const RunRecord& run) const;
  void begin(RunRecord& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void drive(RunRecord run, std::shared_ptr<RunEvents> events);
  // How a ServerApp is started, but for --umbel-run; FAILED_PRECONDITION if it cannot be here.
  Status find_server(const bundle::Bundle& bundle, const std::filesystem::path& app,
                     ServerAppProcess::Options& options) const;
  Result<ServerAppProcess::Options> prepare(const RunRecord& run);
  // One start of the ServerApp; nothing if it is to be started again.
  std::optional<RunFinished> attempt(const RunRecord& run, const ServerAppProcess::Options& options,
                                     RunEvents& events, int& restarts_in_a_row);
  void end(const RunRecord& run, const RunFinished& finished, RunEvents& events);
  void end_queued(RunRecord& run, RunStatus status, const std::string& error)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void save(const RunRecord& run);

  Fleet& fleet_;
  Store& store_;
  Bundles& bundles_;
  Blobs& blobs_;
  Timers& timers_;
  MemoryBudget& memory_;
  const Options options_;

  mutable absl::Mutex mutex_;
  std::map<uint64_t, RunRecord> runs_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Active> active_ ABSL_GUARDED_BY(mutex_);
  // Of the runs that are not over.
  std::map<uint64_t, std::shared_ptr<EventLog>> logs_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> ended_ ABSL_GUARDED_BY(mutex_);  // to be joined
  // Some of those of runs that are over, opened not long ago.
  static constexpr size_t kClosedLogsMax = 16;
  std::map<uint64_t, std::shared_ptr<EventLog>> closed_logs_ ABSL_GUARDED_BY(mutex_);
  bool shutting_down_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace umbel::superlink
