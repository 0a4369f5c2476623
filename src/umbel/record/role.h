#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/record/record.h"

namespace umbel {

// What a tensor of a model is to a federation: which way it travels and what is made of it there.
enum class Role : uint8_t {
  kShared,     // down, up, weighted mean, the server optimizer's step
  kPrivate,    // never leaves the site, nor comes to it; a client keeps its own
  kStatistic,  // down, up, plain weighted mean: batch normalisation's running mean and variance
  kCounter,    // the same for integers, rounded: how many batches were seen
  kFrozen,     // never changes, and so does not travel: every side makes it
  kLowRank,    // a factor of a low-rank update (LoRA): as kShared
  kSlice,      // a client trains the leading block that suits its width (strategy/slices.h)
};
std::string_view name_of(Role role);  // "low-rank"
std::optional<Role> role_named(std::string_view name);
// Whether tensors of this role come back from clients, and whether the server optimizer steps them.
bool comes_back(Role role);
bool is_stepped(Role role);

// Whether `name` is `pattern`, where each * of the pattern stands for any text, also none and dots.
// Time: at most the product of the lengths.
bool name_matches(std::string_view pattern, std::string_view name);

// The roles of a model's tensors: rules in order, of which the last that matches a name decides.
// A tensor without a rule is shared.
//   Roles{{"head.*", Role::kPrivate}, {"*.running_mean", Role::kStatistic}}
class Roles {
 public:
  struct Rule {
    std::string pattern;
    Role role = Role::kShared;
    // Of a slice: the axes that are cut; empty: the first two, which are outputs and inputs.
    std::vector<int> axes = {};
    friend bool operator==(const Rule&, const Rule&) = default;
  };
  static constexpr size_t kRulesMax = 1'000;

  Roles() = default;
  Roles(std::initializer_list<Rule> rules) : rules_(rules) {}
  explicit Roles(std::vector<Rule> rules) : rules_(std::move(rules)) {}

  // "head.*=private, *.running_mean=statistic, first.weight=slice:0"; "" has no rules.
  // INVALID_ARGUMENT that names the part for a missing =, an empty pattern, an unknown role or
  // axis, or more than kRulesMax rules.
  static Result<Roles> parse(std::string_view text);
  // A setting that is such a text, or a list of them; an empty list has no rules.
  static Result<Roles> from_config(const ConfigValue& value);
  std::string text() const;  // what parse() reads

  const std::vector<Rule>& rules() const { return rules_; }
  bool empty() const { return rules_.empty(); }
  Role of(std::string_view name) const;
  // The axes along which a tensor of so many is cut: none if it is no slice.
  std::vector<int> cut_axes(std::string_view name, size_t rank) const;
  bool any(Role role) const;  // of the rules
  // The rules of all other roles: for a server whose model has no such tensors (any more).
  Roles without(Role role) const;

  // INVALID_ARGUMENT that names rule, tensor and the names there are: for a pattern that matches no
  // tensor, a counter that is no integer, a statistic or low-rank factor that is no real number, a
  // slice that is no real tensor or lacks an axis.
  Status validate(const ArrayRecord& model) const;

  friend bool operator==(const Roles&, const Roles&) = default;

 private:
  const Rule* rule_of(std::string_view name) const;

  std::vector<Rule> rules_;
};

// The arrays of `model` whose role is `role`, in order, sharing their bytes.
ArrayRecord arrays_of(const ArrayRecord& model, const Roles& roles, Role role);
// SHA-256, in hexadecimal, over names, dtypes, shapes and elements of any arrays, in their order.
std::string arrays_sha256(const ArrayRecord& arrays);

}  // namespace umbel
