#include "umbel/superlink/registry.h"

#include <algorithm>

#include "umbel/base/text.h"

namespace umbel::superlink {

namespace {

constexpr size_t kNameBytesMax = 64;

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

std::string_view name_of(Role role) { return role == Role::kAdmin ? "admin" : "user"; }

Result<Role> parse_role(std::string_view text) {
  if (text == "admin") return Role::kAdmin;
  if (text == "user") return Role::kUser;
  return invalid_argument("role \"{}\": expected user or admin", escaped(text));
}

Status check_name(std::string_view what, std::string_view name) {
  const bool right = !name.empty() && name.size() <= kNameBytesMax && is_plain(name[0]) &&
                     std::ranges::all_of(name, [](char c) {
                       return is_plain(c) || c == '.' || c == '_' || c == '-';
                     });
  if (right) return absl::OkStatus();
  return invalid_argument(
      "{} \"{}\": expected 1 to {} letters, digits, '.', '_' or '-', the first a letter or digit",
      what, escaped(name.substr(0, 2 * kNameBytesMax)), kNameBytesMax);
}

Status Registry::can_add(const NodeRecord& node) const {
  UMBEL_RETURN_IF_ERROR(check_name("node name", node.name));
  UMBEL_RETURN_IF_ERROR(check_name("federation", node.federation));
  if (nodes_by_name_.contains(node.name)) {
    return absl::AlreadyExistsError(
        fmt::format("a node is registered as \"{}\" already", node.name));
  }
  if (const NodeRecord* other = this->node(node.key)) {
    return absl::AlreadyExistsError(
        fmt::format("that key is registered already, as node \"{}\"", other->name));
  }
  if (nodes_.size() >= kNodesMax)
    return resource_exhausted("there are {} nodes, the most", kNodesMax);
  return absl::OkStatus();
}

Status Registry::can_add(const AccountRecord& account) const {
  UMBEL_RETURN_IF_ERROR(check_name("account name", account.name));
  UMBEL_RETURN_IF_ERROR(check_name("federation", account.federation));
  if (accounts_.contains(account.name)) {
    return absl::AlreadyExistsError(
        fmt::format("there is an account \"{}\" already", account.name));
  }
  if (const AccountRecord* other = this->account(account.key)) {
    return absl::AlreadyExistsError(
        fmt::format("that key belongs to an account already, to \"{}\"", other->name));
  }
  if (accounts_.size() >= kAccountsMax) {
    return resource_exhausted("there are {} accounts, the most", kAccountsMax);
  }
  return absl::OkStatus();
}

void Registry::add(NodeRecord node) {
  next_number_ = std::max(next_number_, node.number + 1);
  nodes_by_key_[node.key] = node.number;
  nodes_by_name_[node.name] = node.number;
  nodes_[node.number] = std::move(node);
}

void Registry::add(AccountRecord account) {
  accounts_by_key_[account.key] = account.name;
  accounts_[account.name] = std::move(account);
}

Status Registry::remove_node(std::string_view name) {
  const auto found = nodes_by_name_.find(name);
  if (found == nodes_by_name_.end()) {
    return not_found("no node is registered as \"{}\"", escaped(name));
  }
  const uint64_t number = found->second;
  nodes_by_key_.erase(nodes_.at(number).key);
  nodes_by_name_.erase(found);
  nodes_.erase(number);
  return absl::OkStatus();
}

Status Registry::remove_account(std::string_view name) {
  const auto found = accounts_.find(name);
  if (found == accounts_.end()) return not_found("there is no account \"{}\"", escaped(name));
  accounts_by_key_.erase(found->second.key);
  accounts_.erase(found);
  return absl::OkStatus();
}

const NodeRecord* Registry::node(const PublicKey& key) const {
  const auto found = nodes_by_key_.find(key);
  return found == nodes_by_key_.end() ? nullptr : &nodes_.at(found->second);
}

const NodeRecord* Registry::node(std::string_view name) const {
  const auto found = nodes_by_name_.find(name);
  return found == nodes_by_name_.end() ? nullptr : &nodes_.at(found->second);
}

const NodeRecord* Registry::node(uint64_t number) const {
  const auto found = nodes_.find(number);
  return found == nodes_.end() ? nullptr : &found->second;
}

const AccountRecord* Registry::account(const PublicKey& key) const {
  const auto found = accounts_by_key_.find(key);
  return found == accounts_by_key_.end() ? nullptr : &accounts_.at(found->second);
}

const AccountRecord* Registry::account(std::string_view name) const {
  const auto found = accounts_.find(name);
  return found == accounts_.end() ? nullptr : &found->second;
}

std::vector<NodeRecord> Registry::nodes(std::string_view federation) const {
  std::vector<NodeRecord> nodes;
  for (const auto& [number, node] : nodes_) {
    if (federation.empty() || node.federation == federation) nodes.push_back(node);
  }
  return nodes;
}

std::vector<AccountRecord> Registry::accounts() const {
  std::vector<AccountRecord> accounts;
  for (const auto& [name, account] : accounts_) accounts.push_back(account);
  return accounts;
}

}  // namespace umbel::superlink
