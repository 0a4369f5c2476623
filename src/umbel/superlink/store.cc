#include "umbel/superlink/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "umbel/superlink/settings_json.h"

namespace umbel::superlink {

namespace {

using Json = nlohmann::json;

constexpr int64_t kFormat = 1;

constexpr char kTables[] =
    "CREATE TABLE IF NOT EXISTS nodes(number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE,"
    "  federation TEXT, key TEXT UNIQUE, registered_ms INTEGER);"
    "CREATE TABLE IF NOT EXISTS accounts(name TEXT PRIMARY KEY, federation TEXT, key TEXT UNIQUE,"
    "  role TEXT);"
    "CREATE TABLE IF NOT EXISTS runs(id INTEGER PRIMARY KEY AUTOINCREMENT, bundle TEXT, publisher "
    "TEXT,"
    "  app TEXT, version TEXT, account TEXT, account_key TEXT, federation TEXT, nodes_asked "
    "INTEGER, seed INTEGER,"
    "  wait_seconds REAL, settings TEXT, status INTEGER, members TEXT, created_ms INTEGER,"
    "  started_ms INTEGER, finished_ms INTEGER, rounds INTEGER, rounds_planned INTEGER,"
    "  restarts INTEGER, exit_code INTEGER, error TEXT, stop_asked INTEGER);"
    "CREATE TABLE IF NOT EXISTS decisions(run INTEGER, round INTEGER, type TEXT, asked TEXT,"
    "  counted TEXT);"
    "CREATE INDEX IF NOT EXISTS decisions_of_run ON decisions(run);"
    "CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value INTEGER)";

constexpr char kRunColumns[] =
    "id, bundle, publisher, app, version, account, account_key, federation, nodes_asked, seed, "
    "wait_seconds,"
    " settings, status, members, created_ms, started_ms, finished_ms, rounds, rounds_planned,"
    " restarts, exit_code, error, stop_asked";

std::string numbers_text(const std::vector<uint64_t>& numbers) { return Json(numbers).dump(); }

std::vector<uint64_t> parse_numbers(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  std::vector<uint64_t> numbers;
  if (!json.is_array()) return numbers;
  for (const Json& item : json) {
    if (item.is_number_unsigned()) numbers.push_back(item.get<uint64_t>());
  }
  return numbers;
}

int64_t signed_of(uint64_t value) { return static_cast<int64_t>(value); }
uint64_t unsigned_of(int64_t value) { return static_cast<uint64_t>(value); }

Result<RunRecord> read_run(const sqlite::Statement& row) {
  RunRecord run;
  run.id = RunId(unsigned_of(row.integer(0)));
  run.bundle = row.text(1);
  run.publisher = row.text(2);
  run.app = row.text(3);
  run.version = row.text(4);
  run.account = row.text(5);
  run.account_key = row.text(6);
  run.federation = row.text(7);
  run.nodes_asked = unsigned_of(row.integer(8));
  run.seed = unsigned_of(row.integer(9));
  run.wait_seconds = row.real(10);
  UMBEL_RETURN_IF_ERROR(
      parse_settings(Json::parse(row.text(11), nullptr, false), run.config, run.origins));
  run.status = static_cast<RunStatus>(row.integer(12));
  run.members = parse_numbers(row.text(13));
  run.created_ms = row.integer(14);
  run.started_ms = row.integer(15);
  run.finished_ms = row.integer(16);
  run.rounds = unsigned_of(row.integer(17));
  run.rounds_planned = unsigned_of(row.integer(18));
  run.restarts = unsigned_of(row.integer(19));
  run.exit_code = row.integer(20);
  run.error = row.text(21);
  run.stop_asked = row.integer(22) != 0;
  return run;
}

Result<Descriptor> lock_folder(const std::filesystem::path& folder) {
  const std::string path = folder / "lock";
  Descriptor lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return unavailable("{}: {}", path, std::strerror(errno));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return failed_precondition("{}: another umbel-superlink uses this state folder",
                               folder.string());
  }
  return lock;
}

}  // namespace

std::string_view name_of(RunStatus status) {
  switch (status) {
    case RunStatus::kQueued:
      return "queued";
    case RunStatus::kStarting:
      return "starting";
    case RunStatus::kRunning:
      return "running";
    case RunStatus::kCompleted:
      return "completed";
    case RunStatus::kFailed:
      return "failed";
    case RunStatus::kStopped:
      return "stopped";
  }
  return "unknown";
}

bool is_over(RunStatus status) { return status >= RunStatus::kCompleted; }

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return unavailable("{}: cannot make the folder: {}", folder.string(), error.message());
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  UMBEL_ASSIGN_OR_RETURN(Descriptor lock, lock_folder(folder));
  UMBEL_ASSIGN_OR_RETURN(sqlite::Database database,
                         sqlite::Database::open(folder / "superlink.db"));
  auto store = std::unique_ptr<Store>(new Store(std::move(database)));
  store->folder_ = folder;
  store->lock_ = std::move(lock);
  UMBEL_RETURN_IF_ERROR(store->create_tables());
  return store;
}

Status Store::create_tables() {
  absl::MutexLock lock(&mutex_);
  // Whoever was told "OK" may lose power at that moment.
  UMBEL_RETURN_IF_ERROR(database_.execute("PRAGMA synchronous = FULL"));
  int64_t format = 0;
  {
    sqlite::Statement version = database_.prepare("PRAGMA user_version");
    if (version.step()) format = version.integer(0);
    UMBEL_RETURN_IF_ERROR(version.status());
  }
  if (format > kFormat) {
    return data_loss("{}: format {}, this version reads up to {}; run a newer umbel-superlink",
                     (folder_ / "superlink.db").string(), format, kFormat);
  }
  UMBEL_RETURN_IF_ERROR(database_.execute(kTables));
  UMBEL_RETURN_IF_ERROR(
      database_.execute(fmt::format("PRAGMA user_version = {}", kFormat).c_str()));
  UMBEL_RETURN_IF_ERROR(
      database_.execute("INSERT INTO facts(name, value) VALUES('epoch', 1)"
                        " ON CONFLICT(name) DO UPDATE SET value = value + 1"));
  sqlite::Statement epoch = database_.prepare("SELECT value FROM facts WHERE name = 'epoch'");
  if (epoch.step()) epoch_ = unsigned_of(epoch.integer(0));
  return epoch.status();
}

Status Store::load(Registry& registry) {
  absl::MutexLock lock(&mutex_);
  sqlite::Statement nodes = database_.prepare(
      "SELECT number, name, federation, key, registered_ms FROM nodes ORDER BY number");
  while (nodes.step()) {
    NodeRecord node;
    node.number = unsigned_of(nodes.integer(0));
    node.name = nodes.text(1);
    node.federation = nodes.text(2);
    UMBEL_ASSIGN_OR_RETURN(node.key, PublicKey::parse(nodes.text(3)));
    node.registered_ms = nodes.integer(4);
    registry.add(std::move(node));
  }
  UMBEL_RETURN_IF_ERROR(nodes.status());
  sqlite::Statement last =
      database_.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'nodes'");
  if (last.step()) registry.set_next_number(unsigned_of(last.integer(0)) + 1);
  UMBEL_RETURN_IF_ERROR(last.status());
  sqlite::Statement accounts =
      database_.prepare("SELECT name, federation, key, role FROM accounts ORDER BY name");
  while (accounts.step()) {
    AccountRecord account;
    account.name = accounts.text(0);
    account.federation = accounts.text(1);
    UMBEL_ASSIGN_OR_RETURN(account.key, PublicKey::parse(accounts.text(2)));
    UMBEL_ASSIGN_OR_RETURN(account.role, parse_role(accounts.text(3)));
    registry.add(std::move(account));
  }
  return accounts.status();
}

Status Store::add(const NodeRecord& node) {
  absl::MutexLock lock(&mutex_);
  return database_
      .prepare("INSERT INTO nodes(number, name, federation, key, registered_ms) VALUES(?,?,?,?,?)")
      .bind(signed_of(node.number))
      .bind(node.name)
      .bind(node.federation)
      .bind(node.key.text())
      .bind(node.registered_ms)
      .run();
}

Status Store::add(const AccountRecord& account) {
  absl::MutexLock lock(&mutex_);
  return database_.prepare("INSERT INTO accounts(name, federation, key, role) VALUES(?,?,?,?)")
      .bind(account.name)
      .bind(account.federation)
      .bind(account.key.text())
      .bind(name_of(account.role))
      .run();
}

Status Store::remove_node(std::string_view name) {
  absl::MutexLock lock(&mutex_);
  return database_.prepare("DELETE FROM nodes WHERE name = ?").bind(name).run();
}

Status Store::remove_account(std::string_view name) {
  absl::MutexLock lock(&mutex_);
  return database_.prepare("DELETE FROM accounts WHERE name = ?").bind(name).run();
}

Result<RunId> Store::create(RunRecord run) {
  absl::MutexLock lock(&mutex_);
  sqlite::Transaction transaction(database_);
  UMBEL_RETURN_IF_ERROR(transaction.status());
  UMBEL_RETURN_IF_ERROR(
      database_
          .prepare(
              "INSERT INTO runs(bundle, publisher, app, version, account, account_key, federation,"
              " nodes_asked, seed, wait_seconds, settings, status, members, created_ms,"
              " started_ms, finished_ms, rounds, rounds_planned, restarts, exit_code, error,"
              " stop_asked) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,'[]',?,0,0,0,0,0,0,'',0)")
          .bind(run.bundle)
          .bind(run.publisher)
          .bind(run.app)
          .bind(run.version)
          .bind(run.account)
          .bind(run.account_key)
          .bind(run.federation)
          .bind(signed_of(run.nodes_asked))
          .bind(signed_of(run.seed))
          .bind(run.wait_seconds)
          .bind(settings_json(run.config, run.origins)
                    .dump(-1, ' ', false, Json::error_handler_t::replace))
          .bind(static_cast<int64_t>(run.status))
          .bind(run.created_ms)
          .run());
  uint64_t id = 0;
  {
    sqlite::Statement last = database_.prepare("SELECT last_insert_rowid()");
    if (last.step()) id = unsigned_of(last.integer(0));
    UMBEL_RETURN_IF_ERROR(last.status());
  }
  UMBEL_RETURN_IF_ERROR(transaction.commit());
  return RunId(id);
}

Status Store::save(const RunRecord& run) {
  absl::MutexLock lock(&mutex_);
  return database_
      .prepare(
          "UPDATE runs SET status=?, members=?, started_ms=?, finished_ms=?, rounds=?,"
          " rounds_planned=?, restarts=?, exit_code=?, error=?, stop_asked=? WHERE id=?")
      .bind(static_cast<int64_t>(run.status))
      .bind(numbers_text(run.members))
      .bind(run.started_ms)
      .bind(run.finished_ms)
      .bind(signed_of(run.rounds))
      .bind(signed_of(run.rounds_planned))
      .bind(signed_of(run.restarts))
      .bind(run.exit_code)
      .bind(run.error)
      .bind(int64_t{run.stop_asked})
      .bind(signed_of(run.id.value()))
      .run();
}

Result<RunRecord> Store::run(RunId id) {
  absl::MutexLock lock(&mutex_);
  const std::string sql = fmt::format("SELECT {} FROM runs WHERE id = ?", kRunColumns);
  sqlite::Statement select = database_.prepare(sql.c_str());
  if (!select.bind(signed_of(id.value())).step()) {
    UMBEL_RETURN_IF_ERROR(select.status());
    return not_found("there is no run {}", id.value());
  }
  return read_run(select);
}

Result<std::vector<RunRecord>> Store::runs() {
  absl::MutexLock lock(&mutex_);
  const std::string sql = fmt::format("SELECT {} FROM runs ORDER BY id", kRunColumns);
  sqlite::Statement select = database_.prepare(sql.c_str());
  std::vector<RunRecord> runs;
  while (select.step()) {
    UMBEL_ASSIGN_OR_RETURN(RunRecord run, read_run(select));
    runs.push_back(std::move(run));
  }
  UMBEL_RETURN_IF_ERROR(select.status());
  return runs;
}

Status Store::add(const DecisionRecord& decision) {
  absl::MutexLock lock(&mutex_);
  return database_
      .prepare("INSERT INTO decisions(run, round, type, asked, counted) VALUES(?,?,?,?,?)")
      .bind(signed_of(decision.run.value()))
      .bind(signed_of(decision.round))
      .bind(decision.type)
      .bind(numbers_text(decision.asked))
      .bind(numbers_text(decision.counted))
      .run();
}

Result<std::vector<DecisionRecord>> Store::decisions(RunId run) {
  absl::MutexLock lock(&mutex_);
  sqlite::Statement select = database_.prepare(
      "SELECT round, type, asked, counted FROM decisions WHERE run = ? ORDER BY rowid");
  select.bind(signed_of(run.value()));
  std::vector<DecisionRecord> decisions;
  while (select.step()) {
    decisions.push_back({run, unsigned_of(select.integer(0)), select.text(1),
                         parse_numbers(select.text(2)), parse_numbers(select.text(3))});
  }
  UMBEL_RETURN_IF_ERROR(select.status());
  return decisions;
}

}  // namespace umbel::superlink
