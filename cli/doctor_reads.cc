#include <algorithm>

#include "doctor_source.h"

namespace umbel::cli {

namespace {

constexpr std::string_view kSpaces = " \t\r\n";

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string_view trimmed(std::string_view text, std::string_view what = kSpaces) {
  const size_t last = text.find_last_not_of(what);
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

std::string_view last_word(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0 && is_word(text[begin - 1])) --begin;
  return text.substr(begin);
}

bool ends_with_word(std::string_view text, std::string_view word) {
  return last_word(text) == word;
}

// What stands before a name's use: a type, perhaps.
std::string_view type_before(std::string_view before) {
  before = trimmed(before, " \t\r\n&*");
  if (ends_with_word(before, "const")) {
    before = trimmed(before.substr(0, before.size() - 5), " \t\r\n&*");
  }
  return before;
}

// Whether `= x.run_config();` follows.
bool is_set_to_run_config(std::string_view after) {
  if (!after.starts_with('=')) return false;
  const std::string_view value = trimmed(after.substr(0, after.find(';')));
  return value.ends_with("run_config()");
}

bool is_declaration(std::string_view type) {
  if (type.empty() || !(is_word(type.back()) || type.back() == '>')) return false;
  for (const std::string_view keyword : {"return", "co_return", "case", "else", "throw"}) {
    if (ends_with_word(type, keyword)) return false;
  }
  return true;
}

// Whether every declaration of the name in the source, one at least, is that of the run's settings.
bool is_run_config(const Source& source, std::string_view name) {
  const std::string_view code = source.code;
  bool declared = false;
  for (size_t at = 0; (at = source.find_word(name, at)) != std::string::npos; at += name.size()) {
    const size_t next = code.find_first_not_of(kSpaces, at + name.size());
    const std::string_view after = next == std::string_view::npos ? "" : code.substr(next);
    if (after.starts_with('.') || after.starts_with("->")) continue;
    const std::string_view type = type_before(code.substr(0, at));
    if (!is_declaration(type)) continue;
    if (!ends_with_word(type, "RunConfig") && !is_set_to_run_config(after)) return false;
    declared = true;
  }
  return declared;
}

bool reads_run_config(const Source& source, std::string_view receiver) {
  if (receiver.ends_with(')')) {
    const std::string_view call = trimmed(receiver.substr(0, receiver.size() - 1));
    return call.ends_with('(') &&
           ends_with_word(trimmed(call.substr(0, call.size() - 1)), "run_config");
  }
  const std::string_view name = last_word(receiver);
  const std::string_view before = trimmed(receiver.substr(0, receiver.size() - name.size()));
  const bool member = before.ends_with('.') || before.ends_with("->") || before.ends_with("::");
  return !name.empty() && !member && is_run_config(source, name);
}

// `context.run_config`, or a name that nothing else is given to in the source.
bool is_python_run_config(const Source& source, std::string_view receiver) {
  const std::string_view name = last_word(receiver);
  if (name == "run_config") return true;
  if (name.empty() || trimmed(receiver.substr(0, receiver.size() - name.size())).ends_with('.')) {
    return false;
  }
  const std::string_view code = source.code;
  bool given = false;
  for (size_t at = 0; (at = source.find_word(name, at)) != std::string::npos; at += name.size()) {
    const size_t next = code.find_first_not_of(kSpaces, at + name.size());
    if (next == std::string_view::npos || code[next] != '=' || code[next + 1] == '=') continue;
    const std::string_view value = code.substr(next + 1, code.find('\n', next) - next - 1);
    if (!trimmed(value).ends_with(".run_config")) return false;
    given = true;
  }
  return given;
}

// run_config["rate"], run_config.get("rate", 0.1).
std::vector<KeyRead> python_reads(const Source& source) {
  std::vector<KeyRead> reads;
  const std::string_view code = source.code;
  for (const Source::Literal& literal : source.literals) {
    const std::string_view before = trimmed(code.substr(0, literal.at - 1));
    const size_t after = code.find_first_not_of(kSpaces, literal.at + literal.text.size() + 1);
    const char next = after == std::string_view::npos ? '\0' : code[after];
    const bool item = before.ends_with('[') && next == ']', get = before.ends_with(".get(");
    if (!item && !get) continue;
    const std::string_view receiver = before.substr(0, before.size() - (item ? 1 : 5));
    reads.push_back({item ? "item" : "contains", literal.text, literal.at,
                     is_python_run_config(source, receiver)});
  }
  return reads;
}

}  // namespace

std::vector<KeyRead> key_reads(const Source& source) {
  if (source.is_python()) return python_reads(source);
  std::vector<KeyRead> reads;
  const std::string_view code = source.code;
  for (const Source::Literal& literal : source.literals) {
    const size_t after = code.find_first_not_of(kSpaces, literal.at + literal.text.size() + 1);
    if (after == std::string_view::npos || (code[after] != ',' && code[after] != ')')) continue;
    std::string_view before = trimmed(code.substr(0, literal.at - 1));
    if (!before.ends_with('(')) continue;
    before = trimmed(before.substr(0, before.size() - 1));
    const std::string_view call = last_word(before);
    const auto known = {"integer", "real", "boolean", "text", "contains"};
    if (std::ranges::find(known, call) == known.end()) continue;
    before = trimmed(before.substr(0, before.size() - call.size()));
    const size_t arrow = before.ends_with("->") ? 2 : before.ends_with('.') ? 1 : 0;
    if (arrow == 0) continue;
    before = trimmed(before.substr(0, before.size() - arrow));
    reads.push_back({call, literal.text, literal.at, reads_run_config(source, before)});
  }
  return reads;
}

}  // namespace umbel::cli
