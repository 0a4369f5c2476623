#include "toml.h"

namespace {
// What the parser takes for granted and a text does not keep to.  In release builds it would be
// undefined behaviour: its assertions are on here in every build, and throw.
struct ParserAssertion {};
}  // namespace
#undef NDEBUG
#define TOML_ASSERT(condition) ((condition) ? void() : throw ParserAssertion())
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wterminate"
#endif
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>

#include "toml_precheck.h"
#include "umbel/base/text.h"

namespace umbel::cli {

namespace {

template <class Element, class Node>
std::optional<ConfigValue> list_of(const toml::array& array) {
  std::vector<Element> list;
  for (const toml::node& node : array) {
    const auto* value = node.as<Node>();
    if (value == nullptr) return std::nullopt;
    list.push_back(static_cast<Element>(value->get()));
  }
  return ConfigValue(std::move(list));
}

std::optional<ConfigValue> list_of_reals(const toml::array& array) {
  std::vector<double> list;
  for (const toml::node& node : array) {
    if (!node.is_number() || !std::isfinite(*node.value<double>())) return std::nullopt;
    list.push_back(*node.value<double>());
  }
  return ConfigValue(std::move(list));
}

void set_list(const toml::array& array, TomlEntry& entry) {
  entry.kind = array.empty() ? "an empty list" : "a list of mixed or other kinds";
  if (array.empty()) return;
  entry.value = list_of<bool, bool>(array);
  if (!entry.value) entry.value = list_of<int64_t, int64_t>(array);
  if (!entry.value) entry.value = list_of_reals(array);
  if (!entry.value) entry.value = list_of<std::string, std::string>(array);
  if (entry.value) entry.kind = entry.value->kind();
}

std::vector<TomlEntry> entries_of(const toml::table& table);

TomlEntry entry_of(std::string_view key, const toml::node& node) {
  TomlEntry entry;
  entry.key = key;
  entry.line = static_cast<int>(node.source().begin.line);
  if (const auto* table = node.as_table()) {
    entry.table = true;
    entry.kind = "a table";
    entry.children = entries_of(*table);
    return entry;
  }
  if (const auto* array = node.as_array()) {
    set_list(*array, entry);
    return entry;
  }
  if (const auto* truth = node.as_boolean()) entry.value = ConfigValue(truth->get());
  if (const auto* integer = node.as_integer()) entry.value = ConfigValue(integer->get());
  if (const auto* text = node.as_string()) entry.value = ConfigValue(text->get());
  entry.kind = node.is_floating_point() ? "a number that is not finite" : "a date or time";
  if (const auto* real = node.as_floating_point(); real != nullptr && std::isfinite(real->get())) {
    entry.value = ConfigValue(real->get());
  }
  if (entry.value) entry.kind = entry.value->kind();
  return entry;
}

std::vector<TomlEntry> entries_of(const toml::table& table) {
  std::vector<std::pair<toml::source_position, TomlEntry>> found;
  for (const auto& [key, node] : table) {
    found.emplace_back(key.source().begin, entry_of(key.str(), node));
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<TomlEntry> entries;
  for (auto& [position, entry] : found) {
    entry.line = static_cast<int>(position.line);
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace

Result<std::vector<TomlEntry>> parse_toml(std::string_view text, std::string_view file) {
  UMBEL_RETURN_IF_ERROR(precheck_toml(text, file));
  try {
    return entries_of(toml::parse(text, std::string(file)));
  } catch (const toml::parse_error& error) {
    return invalid_argument("{}:{}: {}", file, error.source().begin.line,
                            escaped(error.description()));
  } catch (const ParserAssertion&) {
    return invalid_argument("{}: is no TOML that could be understood", file);
  }
}

}  // namespace umbel::cli
