#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "umbel/data/json_lines.h"

namespace umbel::data {

// One object after the other, value by value, into a table.  It knows nothing of JSON's text.
// Errors name the key.  After an error it is spent.
class JsonRow {
 public:
  explicit JsonRow(const JsonOptions& options) : options_(options) {}

  Status begin();  // an object
  Status key(std::string_view name);
  Status number(double value);
  // A value that a label or a natural id can be as well: its text, and the number if it is one.
  Status scalar(std::string_view text, std::optional<double> value);
  Status null();
  Status begin_list();
  Status end_list();
  Status begin_inner();  // an object within the object
  Status end_inner();
  Status end();

  bool inside() const { return inside_; }
  size_t rows() const { return table_.rows(); }
  Table finish();

 private:
  enum class Role { kValue, kLabel, kNaturalId, kIgnored };
  struct Column {
    std::string name;
    Role role = Role::kValue;
    bool is_list = false;
    size_t width = 0;  // numbers, as in the first object
    std::vector<double> values;
    std::string text;  // of a label or a natural id
    bool seen = false;
  };
  Role role_of(std::string_view name) const;
  Status check_first() const;
  Status check_width(const Column& column) const;
  bool ignoring() const { return column_ && column_->role == Role::kIgnored; }
  template <class... Args>
  Status wrong(fmt::format_string<Args...> format, Args&&... args) const;

  const JsonOptions& options_;
  std::vector<Column> columns_;
  std::unordered_map<std::string, size_t> by_name_;
  Column* column_ = nullptr;  // of the value at hand
  size_t depth_ = 0;          // of lists, and of objects within what is ignored
  size_t numbers_ = 0;        // in the object
  bool first_ = true;
  bool inside_ = false;
  TableBuilder table_;
};

}  // namespace umbel::data
