#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "umbel/base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace umbel::sqlite {

// One prepared statement, used once: bind left to right, then step.  The first error sticks and is
// what status() says; its message names the database's file.
class Statement {
 public:
  Statement(sqlite3* database, std::string file, const char* sql);
  ~Statement();
  Statement(const Statement&) = delete;

  Statement& bind(int64_t value);
  Statement& bind(double value);
  Statement& bind(std::string_view text);
  // A row is there to read (true), or the statement is done or failed (false).
  bool step();
  // Runs it to its end, then makes it ready for other values.
  Status run();

  int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;
  const Status& status() const { return status_; }

 private:
  void note(int code);

  sqlite3* database_;
  std::string file_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
  Status status_;
};

// A SQLite file in WAL mode, synced at checkpoints (synchronous = NORMAL): after a crash of the
// program nothing that was committed is lost, after one of the machine at most the last moments
// are; it is never half-written.  One thread.  Other processes that write are waited for.
class Database {
 public:
  static Result<Database> open(const std::filesystem::path& file);
  Database(Database&&) noexcept = default;

  Statement prepare(const char* sql) { return Statement(handle_.get(), file_, sql); }
  Status execute(const char* sql);

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  Database(sqlite3* handle, std::string file) : handle_(handle), file_(std::move(file)) {}

  std::unique_ptr<sqlite3, Close> handle_;
  std::string file_;
};

// BEGIN IMMEDIATE ... commit(), or a rollback when it goes out of scope.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  const Status& status() const { return status_; }
  Status commit();

 private:
  Database& database_;
  Status status_;
  bool open_;
};

}  // namespace umbel::sqlite
