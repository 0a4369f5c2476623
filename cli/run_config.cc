#include <algorithm>
#include <charconv>

#include "manifest.h"
#include "umbel/base/text.h"
#include "umbel/toml/toml.h"

namespace umbel::cli {

namespace {

constexpr size_t kArgumentBytesMax = 1 << 16;
constexpr const char* kOrigin = "--run-config";

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// The end of the value that starts at `at`: a quoted text, a list, or a word.
Result<size_t> end_of_value(std::string_view text, size_t at) {
  char quote = 0;
  int brackets = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quote != 0) {
      if (c == '\\' && quote == '"') ++at;
      if (c == quote) quote = 0;
      continue;
    }
    if (c == '"' || c == '\'') quote = c;
    if (c == '[') ++brackets;
    if (c == ']') --brackets;
    if (is_space(c) && brackets <= 0) break;
  }
  if (quote != 0) return invalid_argument("{}: a {} is not closed", kOrigin, quote);
  if (brackets > 0) return invalid_argument("{}: a [ is not closed", kOrigin);
  return std::min(at, text.size());
}

Setting* find_setting(std::vector<Setting>& settings, std::string_view key) {
  for (Setting& setting : settings) {
    if (setting.key == key) return &setting;
  }
  return nullptr;
}

Status unknown_key(std::string_view key, const std::vector<Setting>& settings) {
  std::vector<std::string> names;
  std::string all;
  for (const Setting& setting : settings) {
    names.push_back(setting.key);
    all += (all.empty() ? "" : ", ") + setting.key;
  }
  std::string hint = did_you_mean(key, names);
  if (hint.empty()) hint = all.empty() ? "; the app has no settings" : "; there are: " + all;
  return invalid_argument("{}: {}: unknown key{}", kOrigin, escaped(key), hint);
}

// A # outside quotes starts a comment to TOML: what follows would be dropped without a word.  Where
// quotes stand in threes any # is taken for one.
bool has_comment(std::string_view word) {
  const bool threes = word.find("\"\"\"") != word.npos || word.find("'''") != word.npos;
  if (threes) return word.find('#') != word.npos;
  char quote = 0;
  for (size_t at = 0; at < word.size(); ++at) {
    const char c = word[at];
    if (quote != 0) {
      if (c == '\\' && quote == '"') ++at;
      if (c == quote) quote = 0;
    } else if (c == '#') {
      return true;
    } else if (c == '"' || c == '\'') {
      quote = c;
    }
  }
  return false;
}

// What the word says as TOML, or nothing if it says nothing.
std::optional<TomlEntry> toml_entry(std::string_view word) {
  if (has_comment(word)) return std::nullopt;
  auto entries = parse_toml(fmt::format("x = {}", word), kOrigin);
  if (!entries.ok() || entries->size() != 1 || entries->front().key != "x") return std::nullopt;
  return std::move(entries->front());
}

// What a word is that is no TOML.
std::string_view kind_of_malformed(std::string_view word) {
  if (word.empty()) return "nothing";
  if (has_comment(word)) return "a value with a # outside plain quotes,";
  if (word.front() == '"' || word.front() == '\'') return "malformed quoted text";
  if (word.front() == '[') return "a malformed list";
  const std::string_view number = word.substr(word.front() == '-' || word.front() == '+' ? 1 : 0);
  if (number.empty() || number.front() < '0' || number.front() > '9') return "text";
  const bool digits = number.find_first_not_of("0123456789_") == std::string_view::npos;
  const bool large = digits && number.front() != '0' && number.size() > 18;
  if (large) return "an integer beyond 64 bits";
  double real = 0;
  const char* end = number.data() + number.size();
  const auto [stop, error] = std::from_chars(number.data(), end, real);
  if (stop == end && error == std::errc::result_out_of_range) return "a real number beyond 64 bits";
  return "a malformed number";
}

// "a.b" and 'a.b' are a.b, as in TOML; no setting's name needs an escape.
std::string_view without_quotes(std::string_view key) {
  const bool quoted =
      key.size() > 2 && (key.front() == '"' || key.front() == '\'') && key.back() == key.front();
  return quoted ? key.substr(1, key.size() - 2) : key;
}

// Real numbers take integers; nothing else converts.
std::optional<ConfigValue> as_kind_of(const ConfigValue& old, const ConfigValue& given) {
  if (old.index() == given.index()) return given;
  if (std::holds_alternative<double>(old.base())) {
    if (const auto* integer = std::get_if<int64_t>(&given.base())) {
      return ConfigValue(static_cast<double>(*integer));
    }
  }
  if (std::holds_alternative<std::vector<double>>(old.base())) {
    if (const auto* integers = std::get_if<std::vector<int64_t>>(&given.base())) {
      return ConfigValue(std::vector<double>(integers->begin(), integers->end()));
    }
  }
  return std::nullopt;
}

Result<ConfigValue> value_for(const Setting& setting, std::string_view word) {
  const bool quoted = !word.empty() && (word.front() == '"' || word.front() == '\'');
  const std::optional<TomlEntry> given = toml_entry(word);
  if (std::holds_alternative<std::string>(setting.value.base()) && !quoted) {
    return ConfigValue(std::string(word));
  }
  if (given && given->value) {
    if (auto value = as_kind_of(setting.value, *given->value)) return *std::move(value);
  }
  return invalid_argument("{}: {}: expected {}, as {} in {}; got {} {}", kOrigin, setting.key,
                          setting.value.kind(), setting.value.text(), setting.origin,
                          given ? given->kind : kind_of_malformed(word), escaped(word));
}

}  // namespace

Status apply_run_config(std::string_view argument, std::vector<Setting>& settings) {
  if (argument.size() > kArgumentBytesMax) {
    return invalid_argument("{}: longer than the limit of {} bytes", kOrigin, kArgumentBytesMax);
  }
  std::vector<Setting> changed = settings;
  size_t at = 0;
  while (true) {
    while (at < argument.size() && is_space(argument[at])) ++at;
    if (at == argument.size()) break;
    const size_t equals = argument.find('=', at);
    const std::string_view key = argument.substr(at, std::min(equals, argument.size()) - at);
    if (equals == std::string_view::npos || key.empty() ||
        std::any_of(key.begin(), key.end(), is_space)) {
      return invalid_argument("{}: expected KEY=VALUE, got \"{}\"", kOrigin,
                              escaped(argument.substr(at)));
    }
    UMBEL_ASSIGN_OR_RETURN(const size_t end, end_of_value(argument, equals + 1));
    Setting* setting = find_setting(changed, without_quotes(key));
    if (setting == nullptr) return unknown_key(without_quotes(key), settings);
    UMBEL_ASSIGN_OR_RETURN(setting->value,
                           value_for(*setting, argument.substr(equals + 1, end - equals - 1)));
    setting->origin = kOrigin;
    at = end;
  }
  settings = std::move(changed);
  return absl::OkStatus();
}

}  // namespace umbel::cli
