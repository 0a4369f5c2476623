#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/record/record.h"

namespace umbel {

// One key of a TOML document, with the line that it stands on.  A table has children and no value;
// what Umbel cannot hold (a date, NaN, an empty or mixed list) has neither; `kind` says what it is.
// Integers among real numbers in a list are widened.
struct TomlEntry {
  std::string key;
  int line = 0;
  std::string kind;
  bool table = false;
  std::optional<ConfigValue> value;
  std::vector<TomlEntry> children;
};

// Parses a document; the entries come in the order in which they are written.  INVALID_ARGUMENT is
// `file:line: what is wrong`.  Tables deeper than a few levels are refused before anything
// recurses.
Result<std::vector<TomlEntry>> parse_toml(std::string_view text, std::string_view file);

}  // namespace umbel
