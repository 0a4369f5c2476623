#include "umbel/sqlite/sqlite.h"

#include <sqlite3.h>

namespace umbel::sqlite {

namespace {

constexpr int kBusyMilliseconds = 10'000;

Status sqlite_error(sqlite3* database, const std::string& file, int code) {
  const char* why = database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_FULL:
      return resource_exhausted("{}: cannot write: the disk is full", file);
    case SQLITE_IOERR:
      return resource_exhausted("{}: cannot read or write ({}); is the disk full?", file, why);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return data_loss("{}: not a history of runs, or damaged ({}); move it away to start anew",
                       file, why);
    default:
      return unavailable("{}: {}", file, why);
  }
}

}  // namespace

Statement::Statement(sqlite3* database, std::string file, const char* sql)
    : database_(database), file_(std::move(file)) {
  note(sqlite3_prepare_v2(database_, sql, -1, &statement_, nullptr));
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::note(int code) {
  if (code != SQLITE_OK && status_.ok()) status_ = sqlite_error(database_, file_, code);
}

Statement& Statement::bind(int64_t value) {
  if (status_.ok()) note(sqlite3_bind_int64(statement_, ++bound_, value));
  return *this;
}
Statement& Statement::bind(double value) {
  if (status_.ok()) note(sqlite3_bind_double(statement_, ++bound_, value));
  return *this;
}
Statement& Statement::bind(std::string_view text) {
  if (status_.ok()) {
    const char* start = text.data() != nullptr ? text.data() : "";
    note(sqlite3_bind_text64(statement_, ++bound_, start, text.size(), SQLITE_TRANSIENT,
                             SQLITE_UTF8));
  }
  return *this;
}

bool Statement::step() {
  if (!status_.ok()) return false;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) note(code);
  return false;
}

Status Statement::run() {
  while (step()) {
  }
  sqlite3_reset(statement_);
  bound_ = 0;
  return status_;
}

int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }
double Statement::real(int column) const { return sqlite3_column_double(statement_, column); }
std::string Statement::text(int column) const {
  const auto* start = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (start == nullptr) return "";
  return std::string(start, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

Result<Database> Database::open(const std::filesystem::path& file) {
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(file.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle, file.string());
  if (code != SQLITE_OK) return sqlite_error(handle, file.string(), code);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyMilliseconds);
  UMBEL_RETURN_IF_ERROR(database.execute("PRAGMA journal_mode = WAL"));
  UMBEL_RETURN_IF_ERROR(database.execute("PRAGMA synchronous = NORMAL"));
  UMBEL_RETURN_IF_ERROR(database.execute("PRAGMA foreign_keys = ON"));
  return database;
}

Status Database::execute(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : sqlite_error(handle_.get(), file_, code);
}

Transaction::Transaction(Database& database)
    : database_(database), status_(database.execute("BEGIN IMMEDIATE")), open_(status_.ok()) {}

Transaction::~Transaction() {
  if (open_) database_.execute("ROLLBACK").IgnoreError();
}

Status Transaction::commit() {
  UMBEL_RETURN_IF_ERROR(status_);
  status_ = database_.execute("COMMIT");
  open_ = !status_.ok();
  return status_;
}

}  // namespace umbel::sqlite
