#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "umbel/base/keys.h"
#include "umbel/base/status.h"

namespace umbel::superlink {

// A node that an administrator registered.
struct NodeRecord {
  uint64_t number = 0;  // in the order of registration; never used twice
  std::string name, federation;
  PublicKey key;
  int64_t registered_ms = 0;
};

enum class Role : uint8_t { kUser, kAdmin };
std::string_view name_of(Role role);
Result<Role> parse_role(std::string_view text);

// A person who may run apps, or administrate.
struct AccountRecord {
  std::string name, federation;
  PublicKey key;
  Role role = Role::kUser;
};

inline constexpr size_t kNodesMax = 100'000;
inline constexpr size_t kAccountsMax = 10'000;

// INVALID_ARGUMENT unless `name` is 1 to 64 letters, digits, '.', '_' or '-', the first a letter or
// digit.  `what` is the thing's word in the message.
Status check_name(std::string_view what, std::string_view name);

// Who is known.  Pure state: no clock, lock or disk.  Names and keys are unique among nodes, and
// among accounts.
class Registry {
 public:
  // ALREADY_EXISTS that says which is taken, RESOURCE_EXHAUSTED; nothing is changed then.
  Status can_add(const NodeRecord& node) const;
  Status can_add(const AccountRecord& account) const;
  void add(NodeRecord node);  // requires can_add()
  void add(AccountRecord account);
  Status remove_node(std::string_view name);  // NOT_FOUND
  Status remove_account(std::string_view name);

  const NodeRecord* node(const PublicKey& key) const;
  const NodeRecord* node(std::string_view name) const;
  const NodeRecord* node(uint64_t number) const;
  const AccountRecord* account(const PublicKey& key) const;
  const AccountRecord* account(std::string_view name) const;
  // In the order of registration; of one federation, or of all for "".
  std::vector<NodeRecord> nodes(std::string_view federation) const;
  std::vector<AccountRecord> accounts() const;
  uint64_t next_number() const { return next_number_; }
  void set_next_number(uint64_t number) { next_number_ = std::max(next_number_, number); }

 private:
  std::map<uint64_t, NodeRecord> nodes_;
  std::map<PublicKey, uint64_t> nodes_by_key_;
  std::map<std::string, uint64_t, std::less<>> nodes_by_name_;
  std::map<std::string, AccountRecord, std::less<>> accounts_;
  std::map<PublicKey, std::string> accounts_by_key_;
  uint64_t next_number_ = 1;
};

}  // namespace umbel::superlink
