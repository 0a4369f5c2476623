#include "history.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "json_records.h"

namespace umbel::cli {

namespace {

constexpr int64_t kSchemaVersion = 4;
constexpr int64_t kLogLinesSlack = 10'000;  // so that trimming is rare

constexpr const char* kSchema = R"sql(
CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, app TEXT NOT NULL, version TEXT NOT NULL,
  publisher TEXT NOT NULL, path TEXT NOT NULL, status TEXT NOT NULL, error TEXT NOT NULL,
  exit_code INTEGER NOT NULL, seed INTEGER NOT NULL, nodes INTEGER NOT NULL,
  threads INTEGER NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,
  seconds REAL NOT NULL, rounds_planned INTEGER NOT NULL, rounds INTEGER NOT NULL,
  clients INTEGER NOT NULL, failures INTEGER NOT NULL, failure_reasons TEXT NOT NULL,
  bytes_down INTEGER NOT NULL, bytes_up INTEGER NOT NULL, metrics TEXT NOT NULL,
  model_sha256 TEXT NOT NULL, report TEXT NOT NULL, folder TEXT NOT NULL, machine TEXT NOT NULL,
  log_lines_dropped INTEGER NOT NULL, pid INTEGER NOT NULL, start_ticks INTEGER NOT NULL,
  boot TEXT NOT NULL);
CREATE INDEX runs_by_status ON runs(status);
CREATE TABLE settings (
  run INTEGER NOT NULL REFERENCES runs(id), position INTEGER NOT NULL, key TEXT NOT NULL,
  value TEXT NOT NULL, origin TEXT NOT NULL, PRIMARY KEY (run, position)) WITHOUT ROWID;
CREATE TABLE rounds (
  run INTEGER NOT NULL REFERENCES runs(id), round INTEGER NOT NULL, seconds REAL NOT NULL,
  elapsed REAL NOT NULL, clients INTEGER NOT NULL, failures INTEGER NOT NULL,
  failure_reasons TEXT NOT NULL, bytes_down INTEGER NOT NULL, bytes_up INTEGER NOT NULL,
  train TEXT NOT NULL, evaluate TEXT NOT NULL, server TEXT NOT NULL, note TEXT NOT NULL,
  PRIMARY KEY (run, round)) WITHOUT ROWID;
CREATE TABLE log (
  run INTEGER NOT NULL REFERENCES runs(id), sequence INTEGER NOT NULL, time_ms INTEGER NOT NULL,
  side TEXT NOT NULL, level TEXT NOT NULL, node INTEGER NOT NULL, message TEXT NOT NULL,
  PRIMARY KEY (run, sequence)) WITHOUT ROWID;
CREATE TABLE records (
  run INTEGER NOT NULL REFERENCES runs(id), name TEXT NOT NULL, metrics TEXT NOT NULL,
  PRIMARY KEY (run, name)) WITHOUT ROWID;
CREATE TABLE artifacts (
  run INTEGER NOT NULL REFERENCES runs(id), name TEXT NOT NULL, bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL, PRIMARY KEY (run, name)) WITHOUT ROWID;
PRAGMA user_version = 1;
)sql";

// What a history of version 1 lacks; a new one goes the same way.
constexpr const char* kUpgradeToTwo = R"sql(
ALTER TABLE runs ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE rounds ADD COLUMN failure_samples TEXT NOT NULL DEFAULT '[]';
PRAGMA user_version = 2;
)sql";

// What one of version 2 lacks.
constexpr const char* kUpgradeToThree = R"sql(
ALTER TABLE runs ADD COLUMN link TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN link_run INTEGER NOT NULL DEFAULT 0;
PRAGMA user_version = 3;
)sql";

constexpr double kNoTime = -1;  // in virtual_seconds

// What one of version 3 lacks.
constexpr const char* kUpgradeToFour = R"sql(
ALTER TABLE runs ADD COLUMN virtual_seconds REAL NOT NULL DEFAULT -1;
ALTER TABLE rounds ADD COLUMN virtual_seconds REAL NOT NULL DEFAULT -1;
ALTER TABLE rounds ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rounds ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rounds ADD COLUMN available INTEGER NOT NULL DEFAULT 0;
PRAGMA user_version = 4;
)sql";

Status make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) return absl::OkStatus();
  return unavailable("{}: cannot make this folder: {}", folder.string(), error.message());
}

}  // namespace

Result<History> History::open(const std::filesystem::path& home) {
  UMBEL_RETURN_IF_ERROR(make_folder(home));
  UMBEL_ASSIGN_OR_RETURN(Database database, Database::open(home / "history.db"));
  History history(std::move(database), home);
  UMBEL_RETURN_IF_ERROR(history.create_tables());
  return history;
}

Result<std::optional<History>> History::open_existing(const std::filesystem::path& home) {
  std::error_code ignored;
  if (!std::filesystem::exists(home / "history.db", ignored)) return std::optional<History>();
  UMBEL_ASSIGN_OR_RETURN(History history, open(home));
  return std::optional<History>(std::move(history));
}

Status History::create_tables() {
  const auto version = [&]() -> Result<int64_t> {
    Statement statement = database_.prepare("PRAGMA user_version");
    const int64_t found = statement.step() ? statement.integer(0) : 0;
    UMBEL_RETURN_IF_ERROR(statement.status());
    return found;
  };
  UMBEL_ASSIGN_OR_RETURN(int64_t found, version());
  if (found >= 0 && found < kSchemaVersion) {
    Transaction transaction(database_);
    UMBEL_RETURN_IF_ERROR(transaction.status());
    UMBEL_ASSIGN_OR_RETURN(found, version());  // another program may have been quicker
    if (found == 0) UMBEL_RETURN_IF_ERROR(database_.execute(kSchema));
    if (found <= 1) UMBEL_RETURN_IF_ERROR(database_.execute(kUpgradeToTwo));
    if (found <= 2) UMBEL_RETURN_IF_ERROR(database_.execute(kUpgradeToThree));
    if (found <= 3) UMBEL_RETURN_IF_ERROR(database_.execute(kUpgradeToFour));
    UMBEL_RETURN_IF_ERROR(transaction.commit());
    UMBEL_ASSIGN_OR_RETURN(found, version());
  }
  if (found == kSchemaVersion) return absl::OkStatus();
  return failed_precondition("{}: written by another version of umbel (format {}, expected {})",
                             (home_ / "history.db").string(), found, kSchemaVersion);
}

std::filesystem::path History::folder_of(int64_t run) const {
  return home_ / "runs" / std::to_string(run);
}

// Also not a number whose folder is there: after history.db was moved away, old runs' files are.
Result<int64_t> History::next_id() {
  Statement last = database_.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'runs'");
  int64_t id = last.step() ? last.integer(0) + 1 : 1;
  UMBEL_RETURN_IF_ERROR(last.status());
  std::error_code ignored;
  while (std::filesystem::exists(folder_of(id), ignored)) ++id;
  return id;
}

Status History::create(Run& run, const std::vector<Setting>& settings) {
  Transaction transaction(database_);
  UMBEL_RETURN_IF_ERROR(transaction.status());
  int64_t id = run.id;
  if (id == 0) {
    UMBEL_ASSIGN_OR_RETURN(id, next_id());
  }
  const std::string folder = folder_of(id).string();
  Statement insert = database_.prepare(
      "INSERT INTO runs (id, app, version, publisher, path, status, error, exit_code, seed, nodes, "
      "threads, started_ms, ended_ms, seconds, rounds_planned, rounds, clients, failures, "
      "failure_reasons, bytes_down, bytes_up, metrics, model_sha256, report, folder, machine, "
      "log_lines_dropped, pid, start_ticks, boot, link, link_run) VALUES (?, ?, ?, ?, ?, "
      "'running', '', 0, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, '{}', 0, 0, '{}', '', '', ?, ?, 0, ?, ?, ?, "
      "?, ?)");
  insert.bind(id).bind(run.app).bind(run.version).bind(run.publisher).bind(run.path).bind(run.seed);
  insert.bind(run.nodes).bind(run.threads).bind(run.started_ms).bind(folder).bind(run.machine);
  insert.bind(run.process.pid).bind(run.process.start_ticks).bind(run.process.boot);
  insert.bind(run.link).bind(run.link_run);
  UMBEL_RETURN_IF_ERROR(insert.run());
  Statement add = database_.prepare("INSERT INTO settings VALUES (?, ?, ?, ?, ?)");
  for (size_t i = 0; i != settings.size(); ++i) {
    add.bind(id).bind(static_cast<int64_t>(i)).bind(settings[i].key);
    add.bind(settings[i].value.text()).bind(settings[i].origin);
    UMBEL_RETURN_IF_ERROR(add.run());
  }
  UMBEL_RETURN_IF_ERROR(make_folder(folder));
  UMBEL_RETURN_IF_ERROR(transaction.commit());
  run.id = id;
  run.folder = folder;
  return absl::OkStatus();
}

Status History::save(const Run& run, const RunUpdate& update) {
  Transaction transaction(database_);
  UMBEL_RETURN_IF_ERROR(transaction.status());
  UMBEL_RETURN_IF_ERROR(add_rounds(run.id, update.rounds));
  UMBEL_RETURN_IF_ERROR(add_log(run.id, update.log));
  UMBEL_RETURN_IF_ERROR(add_rest(run.id, update));
  UMBEL_RETURN_IF_ERROR(update_row(run));
  UMBEL_RETURN_IF_ERROR(transaction.commit());
  utimensat(AT_FDCWD, run.folder.c_str(), nullptr, 0);  // wakes who follows; no harm if it fails
  return absl::OkStatus();
}

Status History::add_rounds(int64_t run, const std::vector<RoundEvent>& rounds) {
  if (rounds.empty()) return absl::OkStatus();
  Statement add = database_.prepare(
      "INSERT OR REPLACE INTO rounds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?)");
  for (const RoundEvent& round : rounds) {
    add.bind(run).bind(round.round).bind(round.seconds).bind(round.elapsed).bind(round.clients);
    add.bind(round.failures).bind(reasons_text(round.failure_reasons));
    add.bind(round.bytes_down).bind(round.bytes_up).bind(metrics_text(round.train));
    add.bind(metrics_text(round.evaluate)).bind(metrics_text(round.server)).bind(round.note);
    add.bind(samples_text(round.failure_samples));
    const VirtualRound none;
    const VirtualRound& in = round.virtual_time ? *round.virtual_time : none;
    add.bind(round.virtual_time ? in.seconds : kNoTime).bind(in.wanted);
    add.bind(in.asked).bind(in.available);
    UMBEL_RETURN_IF_ERROR(add.run());
  }
  return absl::OkStatus();
}

Status History::add_log(int64_t run, const std::vector<LogLine>& lines) {
  if (lines.empty()) return absl::OkStatus();
  Statement add = database_.prepare("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)");
  for (const LogLine& line : lines) {
    add.bind(run).bind(line.sequence).bind(line.time_ms).bind(line.side).bind(line.level);
    UMBEL_RETURN_IF_ERROR(add.bind(line.node).bind(line.message).run());
  }
  const int64_t last = lines.back().sequence;
  if (last / kLogLinesSlack == (lines.front().sequence - 1) / kLogLinesSlack) {
    return absl::OkStatus();
  }
  Statement trim = database_.prepare("DELETE FROM log WHERE run = ? AND sequence <= ?");
  return trim.bind(run).bind(last - kLogLinesKept).run();
}

Status History::add_rest(int64_t run, const RunUpdate& update) {
  if (!update.records.empty()) {
    Statement add = database_.prepare("INSERT OR REPLACE INTO records VALUES (?, ?, ?)");
    for (const RecordEvent& record : update.records) {
      UMBEL_RETURN_IF_ERROR(
          add.bind(run).bind(record.name).bind(metrics_text(record.metrics)).run());
    }
  }
  if (!update.artifacts.empty()) {
    Statement add = database_.prepare("INSERT OR REPLACE INTO artifacts VALUES (?, ?, ?, ?)");
    for (const ArtifactEvent& artifact : update.artifacts) {
      UMBEL_RETURN_IF_ERROR(
          add.bind(run).bind(artifact.name).bind(artifact.bytes).bind(artifact.sha256).run());
    }
  }
  return absl::OkStatus();
}

Status History::update_row(const Run& run) {
  Statement update = database_.prepare(
      "UPDATE runs SET status = ?, error = ?, exit_code = ?, nodes = ?, threads = ?, "
      "ended_ms = ?, seconds = ?, rounds_planned = ?, rounds = ?, clients = ?, failures = ?, "
      "failure_reasons = ?, bytes_down = ?, bytes_up = ?, metrics = ?, model_sha256 = ?, "
      "log_lines_dropped = ?, reason = ?, virtual_seconds = ? WHERE id = ?");
  update.bind(run.status).bind(run.error).bind(run.exit_code).bind(run.nodes).bind(run.threads);
  update.bind(run.ended_ms).bind(run.seconds).bind(run.rounds_planned).bind(run.rounds);
  update.bind(run.clients).bind(run.failures).bind(reasons_text(run.failure_reasons));
  update.bind(run.bytes_down).bind(run.bytes_up).bind(metrics_text(run.metrics));
  update.bind(run.model_sha256).bind(run.log_lines_dropped).bind(run.reason);
  update.bind(run.virtual_seconds.value_or(kNoTime)).bind(run.id);
  return update.run();
}

Status History::set_report(int64_t run, const std::string& report) {
  Statement update = database_.prepare("UPDATE runs SET report = ? WHERE id = ?");
  return update.bind(report).bind(run).run();
}

}  // namespace umbel::cli
