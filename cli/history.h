#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "event.h"
#include "manifest.h"
#include "umbel/sqlite/sqlite.h"

namespace umbel::cli {

using sqlite::Database;
using sqlite::Statement;
using sqlite::Transaction;

// The process that supervises a run.  A process id alone may be used again; with the time at which
// its process started, and the boot that this time counts from, it is not.
struct ProcessIdentity {
  int64_t pid = 0;
  int64_t start_ticks = 0;  // field 22 of /proc/PID/stat
  std::string boot;         // /proc/sys/kernel/random/boot_id
};

// What is known of one run.  Times are milliseconds since 1970, UTC; 0 is "not yet".
struct Run {
  int64_t id = 0;
  std::string app, version, publisher, path;
  // running, completed, failed, stopped; on a link also detached: we know no more of it; at a hub
  // also queued, starting.
  std::string status = "running";
  std::string error;
  std::string reason;  // why it ended before its planned rounds; "": it did not
  int64_t exit_code = 0;
  int64_t seed = 1, nodes = 0, threads = 0;
  int64_t started_ms = 0, ended_ms = 0;
  double seconds = 0;  // of the rounds, as the app measured them
  // That the rounds so far would have taken; nothing without a population.
  std::optional<double> virtual_seconds;
  int64_t rounds_planned = 0, rounds = 0;
  int64_t clients = 0, failures = 0;
  FailureReasons failure_reasons;
  int64_t bytes_down = 0, bytes_up = 0;
  MetricRecord metrics;  // the last of each name
  std::string model_sha256, report, folder, machine;
  int64_t log_lines_dropped = 0;
  ProcessIdentity process;
  std::string link;      // the link that it runs on; "": this machine
  int64_t link_run = 0;  // its number there
  int64_t restarts = 0;  // of its app, as a hub says; history has it in the record "link"
  std::optional<int64_t> nodes_there;  // at a hub, while it waits for more nodes
  FailureSample first_failure;         // the first that was named; history has it in its round
};

struct LogLine {
  int64_t sequence = 0, time_ms = 0;
  std::string side, level;  // side: server, client, app (its standard output and error)
  int64_t node = -1;
  std::string message;
};

// What one transaction adds to a run.
struct RunUpdate {
  std::vector<RoundEvent> rounds;
  std::vector<LogLine> log;
  std::vector<RecordEvent> records;
  std::vector<ArtifactEvent> artifacts;
  bool empty() const {
    return rounds.empty() && log.empty() && records.empty() && artifacts.empty();
  }
};

struct RunFilter {
  std::string status, app;
  int64_t limit = 0;  // 0: all
};

constexpr int64_t kLogLinesKept = 100'000;  // a run; the oldest go first

// $UMBEL_HOME/history.db.  Several programs may use it at once; one thread in each.
class History {
 public:
  // Creates folder and database where they are not there yet.
  static Result<History> open(const std::filesystem::path& home);
  // The same, but nothing is created: no history is no value.
  static Result<std::optional<History>> open_existing(const std::filesystem::path& home);

  // Stores a new run with its settings; sets run.folder and, where it is 0, run.id (small, never
  // used twice).
  Status create(Run& run, const std::vector<Setting>& settings);
  // Adds `update`, and writes the columns of `run` that change, in one transaction.  Then touches
  // the run's folder: who watches it (IN_ATTRIB) and reads after that sees what was added.
  Status save(const Run& run, const RunUpdate& update);
  Status set_report(int64_t run, const std::string& report);

  // Runs, the latest first.  Those whose supervisor is gone are first marked as failed: the
  // program was killed, or the machine went down.
  Result<std::vector<Run>> runs(const RunFilter& filter);
  // NOT_FOUND if there is no such run; says which there are.
  Result<Run> run(int64_t id);

  Result<std::vector<RoundEvent>> rounds(int64_t run);
  Result<std::vector<Setting>> settings(int64_t run);
  Result<std::vector<RecordEvent>> records(int64_t run);
  Result<std::vector<ArtifactEvent>> artifacts(int64_t run);
  // Calls `line` for each line of `side` ("all": every one) after `sequence`, oldest first; if
  // `last` is not 0, for the last so many only.
  Status log(int64_t run, const std::string& side, int64_t sequence, int64_t last,
             const std::function<void(const LogLine&)>& line);

 private:
  History(Database database, std::filesystem::path home)
      : database_(std::move(database)), home_(std::move(home)) {}
  Status create_tables();
  std::filesystem::path folder_of(int64_t run) const;
  Result<int64_t> next_id();
  Status mark_interrupted();
  Status add_rounds(int64_t run, const std::vector<RoundEvent>& rounds);
  Status add_log(int64_t run, const std::vector<LogLine>& lines);
  Status add_rest(int64_t run, const RunUpdate& update);
  Status update_row(const Run& run);

  Database database_;
  std::filesystem::path home_;
};

}  // namespace umbel::cli
