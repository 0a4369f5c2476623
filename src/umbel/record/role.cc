#include "umbel/record/role.h"

#include <algorithm>
#include <array>
#include <utility>

#include "umbel/base/sha256.h"
#include "umbel/base/text.h"

namespace umbel {

namespace {

constexpr size_t kNamesShown = 12;  // in an error

constexpr std::array<std::pair<Role, std::string_view>, 7> kNames{{
    {Role::kShared, "shared"},
    {Role::kPrivate, "private"},
    {Role::kStatistic, "statistic"},
    {Role::kCounter, "counter"},
    {Role::kFrozen, "frozen"},
    {Role::kLowRank, "low-rank"},
    {Role::kSlice, "slice"},
}};

std::string role_names() {
  std::string text;
  for (const auto& [role, name] : kNames)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
  return text;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

Result<Roles::Rule> parse_rule(std::string_view text) {
  // The last one: names may hold a =, roles do not.
  const size_t equals = text.rfind('=');
  const std::string_view pattern = trimmed(text.substr(0, std::min(equals, text.size())));
  if (equals == std::string_view::npos || pattern.empty()) {
    return invalid_argument("roles: \"{}\": expected PATTERN=ROLE, such as \"head.*=private\"",
                            escaped(text));
  }
  const std::string_view name = trimmed(text.substr(equals + 1));
  if (name.starts_with("slice:")) {
    const std::string_view axis = name.substr(6);
    if (axis.size() != 1 || axis[0] < '0' || axis[0] > '9') {
      return invalid_argument("roles: \"{}\": axis \"{}\", expected slice:0 to slice:9",
                              escaped(text), escaped(axis));
    }
    return Roles::Rule{std::string(pattern), Role::kSlice, {axis[0] - '0'}};
  }
  const std::optional<Role> role = role_named(name);
  if (!role) {
    return invalid_argument("roles: \"{}\": there is no role \"{}\"; there are: {}", escaped(text),
                            escaped(name), role_names());
  }
  return Roles::Rule{std::string(pattern), *role, {}};
}

Status parse_into(std::vector<Roles::Rule>& rules, std::string_view text) {
  while (!trimmed(text).empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = trimmed(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (rules.size() == Roles::kRulesMax) {
      return invalid_argument("roles: more than {} rules", Roles::kRulesMax);
    }
    UMBEL_ASSIGN_OR_RETURN(Roles::Rule rule, parse_rule(part));
    rules.push_back(std::move(rule));
  }
  return absl::OkStatus();
}

std::string some_names(const ArrayRecord& model) {
  std::string text;
  for (size_t i = 0; i != std::min(model.size(), kNamesShown); ++i) {
    text += fmt::format("{}{}", i ? ", " : "", escaped(model.entry(i).first));
  }
  if (model.size() > kNamesShown) text += fmt::format(" and {} more", model.size() - kNamesShown);
  return text.empty() ? "none" : text;
}

Status require_type(const std::string& name, const Array& array, Role role) {
  if (role == Role::kCounter && !is_integer(array.dtype())) {
    return invalid_argument("tensor \"{}\": a counter is of integers, this is {}", escaped(name),
                            array.describe());
  }
  if (role == Role::kSlice && (!is_floating(array.dtype()) || array.shape().empty())) {
    return invalid_argument("tensor \"{}\": a slice is of real numbers along an axis, this is {}",
                            escaped(name), array.describe());
  }
  const bool real = role == Role::kStatistic || role == Role::kLowRank;
  if (real && !is_floating(array.dtype()) && !is_complex(array.dtype())) {
    return invalid_argument("tensor \"{}\": {} is of real numbers, this is {}", escaped(name),
                            role == Role::kStatistic ? "a statistic" : "a low-rank factor",
                            array.describe());
  }
  return absl::OkStatus();
}

}  // namespace

std::string_view name_of(Role role) {
  for (const auto& [candidate, name] : kNames) {
    if (candidate == role) return name;
  }
  return "unknown";
}

std::optional<Role> role_named(std::string_view name) {
  for (const auto& [role, candidate] : kNames) {
    if (candidate == name) return role;
  }
  return std::nullopt;
}

bool comes_back(Role role) { return role != Role::kPrivate && role != Role::kFrozen; }
bool is_stepped(Role role) {
  return role == Role::kShared || role == Role::kLowRank || role == Role::kSlice;
}

bool name_matches(std::string_view pattern, std::string_view name) {
  size_t p = 0;
  size_t n = 0;
  size_t star = std::string_view::npos;  // the last one seen
  size_t taken = 0;                      // up to where it reaches
  while (n != name.size()) {
    if (p != pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = n;
    } else if (p != pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

Result<Roles> Roles::parse(std::string_view text) {
  std::vector<Rule> rules;
  UMBEL_RETURN_IF_ERROR(parse_into(rules, text));
  return Roles(std::move(rules));
}

Result<Roles> Roles::from_config(const ConfigValue& value) {
  if (const auto* text = std::get_if<std::string>(&value.base())) return parse(*text);
  // A list without elements says not of what; umbel.toml's [] may arrive as a list of any kind.
  const bool is_empty_list = std::visit(
      []<class Held>(const Held& held) {
        if constexpr (requires { held.empty(); }) return held.empty();
        return false;
      },
      value.base());
  if (is_empty_list) return Roles();
  const auto* texts = std::get_if<std::vector<std::string>>(&value.base());
  if (!texts) {
    return invalid_argument("roles: {}, expected a text such as \"head.*=private\", or a list",
                            value.kind());
  }
  std::vector<Rule> rules;
  for (const std::string& text : *texts) UMBEL_RETURN_IF_ERROR(parse_into(rules, text));
  return Roles(std::move(rules));
}

std::string Roles::text() const {
  std::string text;
  for (const Rule& rule : rules_) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", rule.pattern, name_of(rule.role));
    if (rule.axes.size() == 1) text += fmt::format(":{}", rule.axes[0]);
  }
  return text;
}

const Roles::Rule* Roles::rule_of(std::string_view name) const {
  for (size_t i = rules_.size(); i != 0; --i) {
    if (name_matches(rules_[i - 1].pattern, name)) return &rules_[i - 1];
  }
  return nullptr;
}

Role Roles::of(std::string_view name) const {
  const Rule* rule = rule_of(name);
  return rule ? rule->role : Role::kShared;
}

std::vector<int> Roles::cut_axes(std::string_view name, size_t rank) const {
  const Rule* rule = rule_of(name);
  if (!rule || rule->role != Role::kSlice) return {};
  if (!rule->axes.empty()) return rule->axes;
  return rank < 2 ? std::vector<int>(rank, 0) : std::vector<int>{0, 1};
}

bool Roles::any(Role role) const {
  return std::ranges::any_of(rules_, [role](const Rule& rule) { return rule.role == role; });
}

Roles Roles::without(Role role) const {
  std::vector<Rule> rules = rules_;
  std::erase_if(rules, [role](const Rule& rule) { return rule.role == role; });
  return Roles(std::move(rules));
}

Status Roles::validate(const ArrayRecord& model) const {
  for (const Rule& rule : rules_) {
    const auto matches = [&](const auto& entry) { return name_matches(rule.pattern, entry.first); };
    if (std::ranges::none_of(model, matches)) {
      return invalid_argument("role {}: \"{}\" matches no tensor of the model; there are: {}",
                              name_of(rule.role), escaped(rule.pattern), some_names(model));
    }
  }
  for (const auto& [name, array] : model) {
    UMBEL_RETURN_IF_ERROR(require_type(name, array, of(name)));
    for (const int axis : cut_axes(name, array.shape().size())) {
      if (axis >= 0 && static_cast<size_t>(axis) < array.shape().size()) continue;
      return invalid_argument("role slice: tensor \"{}\" is {}: it has no axis {}", escaped(name),
                              array.describe(), axis);
    }
  }
  return absl::OkStatus();
}

ArrayRecord arrays_of(const ArrayRecord& model, const Roles& roles, Role role) {
  ArrayRecord found;
  for (const auto& [name, array] : model) {
    if (roles.of(name) == role) found.append(name, array);
  }
  return found;
}

std::string arrays_sha256(const ArrayRecord& arrays) {
  Sha256 sha;
  for (const auto& [name, array] : arrays) {
    // The lengths tell apart what would otherwise run together.
    const std::string head =
        fmt::format("{} {}{} {}\n", name.size(), name, array.describe(), array.byte_size());
    sha.add(std::as_bytes(std::span(head)));
    sha.add(array.bytes());
  }
  return sha.hex();
}

}  // namespace umbel
