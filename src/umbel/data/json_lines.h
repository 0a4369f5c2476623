#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/data/table.h"

namespace umbel::data {

inline constexpr size_t kJsonLineBytesMax = size_t{16} << 20;  // of a line of JSON lines
inline constexpr size_t kJsonFileBytesMax = size_t{4} << 30;   // of a file that is one JSON array
inline constexpr size_t kJsonKeysMax = 16384;                  // of an object
inline constexpr size_t kJsonColumnsMax = size_t{1} << 22;     // numbers in an object

struct JsonOptions {
  std::string label = "label";       // the key of the label: a number, a text or a truth value
  std::string natural_id;            // the key that says whom an object belongs to, or none
  std::vector<std::string> ignored;  // keys that are left out, whatever they hold
};

// A table from JSON lines (an object a line; empty lines are skipped) or from one JSON array of
// objects, told apart by the first character.  Every object has the keys of the first, in any
// order.  A value is a number, a truth value (0 or 1), or a list of numbers, of as many as in the
// first object; lists in lists are strung together.  Columns are named "key" or "key[3]".
//
// Errors name file, line (of an array: the object, counted from 1) and key: INVALID_ARGUMENT for
// what is not JSON, a key missing, twice or unknown, null, text where a number belongs;
// RESOURCE_EXHAUSTED beyond a limit.
Result<Table> read_json(const std::vector<std::filesystem::path>& paths,
                        const JsonOptions& options = {});
// The same for text in memory; `name` stands for the file in errors.
Result<Table> parse_json(std::string_view text, std::string_view name,
                         const JsonOptions& options = {});

// The table as a data set with float32 features.
Result<Dataset> load_json(const std::filesystem::path& path, const JsonOptions& options = {});
// The same for apps: umbel::Error on failure.
Dataset json(const std::filesystem::path& path, const JsonOptions& options = {});

}  // namespace umbel::data
