#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <optional>
#include <string>
#include <vector>

#include "umbel/superlink/store.h"

namespace umbel::superlink {

// Nodes and accounts, in memory and on disk.  What returns OK is on disk.  Any thread.
class Roster {
 public:
  explicit Roster(Store& store) : store_(store) {}
  Status load();

  Result<NodeRecord> add_node(std::string name, std::string federation, const PublicKey& key);
  Status add_account(AccountRecord account);
  Result<NodeRecord> remove_node(const std::string& name);        // what was removed
  Result<AccountRecord> remove_account(const std::string& name);  // never the last administrator

  // From memory, never from disk: for callers who are not known yet.
  std::optional<NodeRecord> node(const PublicKey& key) const;
  bool has_node(uint64_t number) const;
  std::optional<AccountRecord> account(const PublicKey& key) const;
  std::vector<NodeRecord> nodes(std::string_view federation) const;
  std::vector<AccountRecord> accounts() const;

 private:
  Store& store_;
  mutable absl::Mutex mutex_;
  Registry registry_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace umbel::superlink
