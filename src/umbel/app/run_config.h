#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/record/record.h"

namespace umbel {

// The numbers a setting may have.  `open` leaves `least` itself out.
struct Range {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool open = false;
};
inline constexpr Range kAny{};
inline constexpr Range kPositive{.least = 0, .open = true};
inline constexpr Range kNotNegative{.least = 0};
inline constexpr Range at_least(double least) { return {.least = least}; }
inline constexpr Range between(double least, double most) { return {.least = least, .most = most}; }

// A run's settings: [config] of umbel.toml, overridden by --run-config.  An accessor throws
// umbel::Error that names the setting's place and value (`umbel.toml:9: rounds = 0: expected at
// least 1`) where the key is absent, of another kind, or out of range.  Integers widen to reals.
class RunConfig {
 public:
  RunConfig() = default;
  // origins[i] says where entry i was set: "umbel.toml:9"; empty if unknown.
  RunConfig(ConfigRecord values, std::vector<std::string> origins);

  int64_t integer(std::string_view key, Range range = kAny) const;
  double real(std::string_view key, Range range = kAny) const;
  bool boolean(std::string_view key) const;
  // One of `choices`, if there are any.
  const std::string& text(std::string_view key, const std::vector<std::string>& choices = {}) const;

  bool contains(std::string_view key) const { return values_.contains(key); }
  const ConfigRecord& record() const { return values_; }
  const std::string& origin(std::string_view key) const;

 private:
  const ConfigValue& value(std::string_view key) const;
  [[noreturn]] void refuse(std::string_view key, std::string_view expected) const;

  ConfigRecord values_;
  std::vector<std::string> origins_;
};

}  // namespace umbel
