#include "umbel/superlink/roster.h"

#include <algorithm>

#include "umbel/base/text.h"
#include "umbel/superlink/log.h"

namespace umbel::superlink {

Status Roster::load() {
  absl::MutexLock lock(&mutex_);
  return store_.load(registry_);
}

Result<NodeRecord> Roster::add_node(std::string name, std::string federation,
                                    const PublicKey& key) {
  absl::MutexLock lock(&mutex_);
  NodeRecord node{registry_.next_number(), std::move(name), std::move(federation), key,
                  now_milliseconds()};
  UMBEL_RETURN_IF_ERROR(registry_.can_add(node));
  UMBEL_RETURN_IF_ERROR(store_.add(node));
  registry_.add(node);
  return node;
}

Status Roster::add_account(AccountRecord account) {
  absl::MutexLock lock(&mutex_);
  UMBEL_RETURN_IF_ERROR(registry_.can_add(account));
  UMBEL_RETURN_IF_ERROR(store_.add(account));
  registry_.add(std::move(account));
  return absl::OkStatus();
}

Result<NodeRecord> Roster::remove_node(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  const NodeRecord* found = registry_.node(std::string_view(name));
  if (!found) return not_found("no node is registered as \"{}\"", escaped(name));
  NodeRecord node = *found;
  UMBEL_RETURN_IF_ERROR(store_.remove_node(name));
  UMBEL_RETURN_IF_ERROR(registry_.remove_node(name));
  return node;
}

Result<AccountRecord> Roster::remove_account(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  const AccountRecord* found = registry_.account(std::string_view(name));
  if (!found) return not_found("there is no account \"{}\"", escaped(name));
  AccountRecord account = *found;
  const auto accounts = registry_.accounts();
  const auto administrators = std::ranges::count_if(
      accounts, [](const AccountRecord& one) { return one.role == Role::kAdmin; });
  if (account.role == Role::kAdmin && administrators == 1) {
    return failed_precondition("\"{}\" is the only administrator; add another one first", name);
  }
  UMBEL_RETURN_IF_ERROR(store_.remove_account(name));
  UMBEL_RETURN_IF_ERROR(registry_.remove_account(name));
  return account;
}

std::optional<NodeRecord> Roster::node(const PublicKey& key) const {
  absl::MutexLock lock(&mutex_);
  const NodeRecord* node = registry_.node(key);
  return node ? std::optional(*node) : std::nullopt;
}

bool Roster::has_node(uint64_t number) const {
  absl::MutexLock lock(&mutex_);
  return registry_.node(number) != nullptr;
}

std::optional<AccountRecord> Roster::account(const PublicKey& key) const {
  absl::MutexLock lock(&mutex_);
  const AccountRecord* account = registry_.account(key);
  return account ? std::optional(*account) : std::nullopt;
}

std::vector<NodeRecord> Roster::nodes(std::string_view federation) const {
  absl::MutexLock lock(&mutex_);
  return registry_.nodes(federation);
}

std::vector<AccountRecord> Roster::accounts() const {
  absl::MutexLock lock(&mutex_);
  return registry_.accounts();
}

}  // namespace umbel::superlink
