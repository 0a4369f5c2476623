#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/data/dataset.h"
#include "umbel/data/dictionary.h"

namespace umbel::data {

inline constexpr int64_t kNaturalIdsMax = 16'777'216;       // different ones in a table
inline constexpr size_t kTableValuesMax = size_t{1} << 31;  // numbers: 16 GiB of them

// A table of numbers with one label column, and perhaps one that says whom a row belongs to.
struct Table {
  std::vector<std::string> columns;  // names, without the label's and the natural id's
  Array values;                      // float64 [rows, columns]
  Array labels;                      // int32 [rows]
  std::vector<std::string> classes;  // the dictionary of text labels; empty if they were numbers
  int64_t class_count = 0;
  Array natural_ids;                       // int32 [rows], or empty
  std::vector<std::string> natural_names;  // in the order of their bytes; of each natural id
};

// Collects a table row by row, from one file or several with the same columns.  Labels that are all
// whole numbers from 0 to kClassesMax - 1 stand for themselves, and there are as many classes as
// the largest says; any others are texts, numbered in the order of their bytes.  Errors say what is
// wrong with the field: where it stands is the caller's to add.
class TableBuilder {
 public:
  Status add_value(double value);  // the next of the row; INVALID_ARGUMENT unless it is finite
  Status add_label(std::string_view text);
  Status add_natural_id(std::string_view text);
  size_t rows() const { return labels_.size(); }
  // Spends the builder.  `columns` are the values' names: rows() times as many values were added.
  Table finish(std::vector<std::string> columns);

 private:
  std::vector<double> values_;
  std::vector<int32_t> labels_, natural_ids_;
  Dictionary classes_{kClassesMax};
  Dictionary naturals_{kNaturalIdsMax};
};

// The table with float32 features; a number beyond float32's range is an error.
Result<Dataset> to_dataset(Table table, std::string name);

}  // namespace umbel::data
