#include "umbel/app/run_config.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "umbel/base/text.h"

namespace umbel {

namespace {

bool within(double value, Range range) {
  return (range.open ? value > range.least : value >= range.least) && value <= range.most;
}

std::string in_words(Range range) {
  const bool low = range.least != kAny.least;
  const bool high = range.most != kAny.most;
  if (low && high) return fmt::format("{} to {}", range.least, range.most);
  if (high) return fmt::format("at most {}", range.most);
  if (!low) return "a number";
  return fmt::format(fmt::runtime(range.open ? "a number above {}" : "at least {}"), range.least);
}

}  // namespace

RunConfig::RunConfig(ConfigRecord values, std::vector<std::string> origins)
    : values_(std::move(values)), origins_(std::move(origins)) {
  origins_.resize(values_.size());
}

const std::string& RunConfig::origin(std::string_view key) const {
  static const std::string unknown;
  for (size_t i = 0; i != values_.size(); ++i) {
    if (values_.entry(i).first == key) return origins_[i];
  }
  return unknown;
}

const ConfigValue& RunConfig::value(std::string_view key) const {
  if (const ConfigValue* value = values_.find(key)) return *value;
  std::vector<std::string> keys;
  for (const auto& [name, value] : values_) keys.push_back(name);
  throw Error(invalid_argument("run config: no key \"{}\": add it under [config] in umbel.toml{}",
                               key, did_you_mean(key, keys)));
}

void RunConfig::refuse(std::string_view key, std::string_view expected) const {
  const std::string& place = origin(key);
  throw Error(invalid_argument("{}{}{} = {}: expected {}", place, place.empty() ? "" : ": ", key,
                               value(key).text(), expected));
}

int64_t RunConfig::integer(std::string_view key, Range range) const {
  const auto* integer = std::get_if<int64_t>(&value(key).base());
  if (!integer) refuse(key, "an integer");
  if (!within(static_cast<double>(*integer), range)) refuse(key, in_words(range));
  return *integer;
}

double RunConfig::real(std::string_view key, Range range) const {
  double number = 0;
  if (const auto* integer = std::get_if<int64_t>(&value(key).base())) {
    number = static_cast<double>(*integer);
  } else if (const auto* real = std::get_if<double>(&value(key).base())) {
    number = *real;
  } else {
    refuse(key, "a number");
  }
  if (!within(number, range)) refuse(key, in_words(range));
  return number;
}

bool RunConfig::boolean(std::string_view key) const {
  const auto* truth = std::get_if<bool>(&value(key).base());
  if (!truth) refuse(key, "true or false");
  return *truth;
}

const std::string& RunConfig::text(std::string_view key,
                                   const std::vector<std::string>& choices) const {
  const auto* text = std::get_if<std::string>(&value(key).base());
  if (!text) refuse(key, "text");
  if (!choices.empty() && std::ranges::find(choices, *text) == choices.end()) {
    refuse(key, fmt::format("one of: {}", fmt::join(choices, ", ")));
  }
  return *text;
}

}  // namespace umbel
