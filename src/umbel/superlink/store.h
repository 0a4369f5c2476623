#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "umbel/base/shared_blob.h"
#include "umbel/sqlite/sqlite.h"
#include "umbel/superlink/registry.h"
#include "umbel/superlink/run_record.h"

namespace umbel::superlink {

// One call to the federation that was closed: who was asked, and whose reply counted.  No figures
// of a single client are in it.
struct DecisionRecord {
  RunId run;
  uint64_t round = 0;
  std::string type;
  std::vector<uint64_t> asked;    // client numbers
  std::vector<uint64_t> counted;  // in ascending order, each once
};

// The hub's decisions on disk, in a SQLite file; every call that returns OK is there after a power
// cut.  Client updates never come here.  Any thread.
class Store {
 public:
  // Makes or opens FOLDER/superlink.db and holds FOLDER/lock: FAILED_PRECONDITION if another hub
  // does. DATA_LOSS that names the file if it is damaged or from a newer version.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  // Goes up with every start: instructions of different starts never have the same number.
  uint64_t epoch() const { return epoch_; }

  Status load(Registry& registry);
  Status add(const NodeRecord& node);
  Status add(const AccountRecord& account);
  Status remove_node(std::string_view name);
  Status remove_account(std::string_view name);

  Result<RunId> create(RunRecord run);    // gives it its number, never used twice
  Status save(const RunRecord& run);      // what changes of it
  Result<RunRecord> run(RunId id);        // NOT_FOUND
  Result<std::vector<RunRecord>> runs();  // all, by number

  Status add(const DecisionRecord& decision);
  Result<std::vector<DecisionRecord>> decisions(RunId run);

 private:
  explicit Store(sqlite::Database database) : database_(std::move(database)) {}
  Status create_tables();

  absl::Mutex mutex_;
  sqlite::Database database_ ABSL_GUARDED_BY(mutex_);
  std::filesystem::path folder_;
  Descriptor lock_;
  uint64_t epoch_ = 0;
};

}  // namespace umbel::superlink
