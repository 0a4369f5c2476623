#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/data/csv_records.h"
#include "umbel/data/dataset.h"
#include "umbel/record/array.h"

namespace umbel::data {

struct CsvOptions {
  std::string label = "label";  // the column that holds the label
  bool header = true;  // the first record names the columns; without it they are "1", "2", ...
  char separator = ',';
};

// A table of numbers with one label column.
struct CsvTable {
  std::vector<std::string> columns;  // names, without the label's
  Array values;                      // float64 [rows, columns]
  Array labels;                      // int32 [rows]
  std::vector<std::string> classes;  // the dictionary of text labels; empty if they were numbers
  int64_t class_count = 0;
};

// Reads RFC 4180 text (csv_records.h has the limits).  Every column but the label's holds finite
// numbers.  Labels that are all whole numbers from 0 to kClassesMax - 1 stand for themselves, and
// there are as many classes as the largest says; any others are texts, numbered in the order of
// their bytes.
//
// Errors name file, line and column: INVALID_ARGUMENT for an empty file, a ragged row, a field of
// the wrong type, a label column that does not exist, a repeated name; RESOURCE_EXHAUSTED beyond a
// limit.
Result<CsvTable> read_csv(const std::filesystem::path& path, const CsvOptions& options = {});
// The same for text in memory; `name` stands for the file in errors.
Result<CsvTable> parse_csv(std::string_view text, std::string_view name,
                           const CsvOptions& options = {});

// The table as a data set with float32 features; a number beyond float32's range is an error.
Result<Dataset> load_csv(const std::filesystem::path& path, const CsvOptions& options = {});
// The same for apps: umbel::Error on failure.
Dataset csv(const std::filesystem::path& path, const CsvOptions& options = {});

}  // namespace umbel::data
