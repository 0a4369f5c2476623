#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/data/csv_records.h"
#include "umbel/data/dataset.h"
#include "umbel/data/table.h"

namespace umbel::data {

struct CsvOptions {
  std::string label = "label";  // the column that holds the label
  bool header = true;  // the first record names the columns; without it they are "1", "2", ...
  char separator = ',';
  std::string natural_id;            // the column that says whom a row belongs to, or none
  std::vector<std::string> ignored;  // columns that are left out: names, free text
};

using CsvTable = Table;

// Reads RFC 4180 text (csv_records.h has the limits).  Every column but the label's, the natural
// id's and the ignored ones holds finite numbers.  table.h says what becomes of the labels.
//
// Errors name file, line and column: INVALID_ARGUMENT for an empty file, a ragged row, a field of
// the wrong type, a column that does not exist, a repeated name; RESOURCE_EXHAUSTED beyond a limit.
Result<CsvTable> read_csv(const std::filesystem::path& path, const CsvOptions& options = {});
// Several files as one table: each has the columns of the first, in the same order.
Result<CsvTable> read_csv(const std::vector<std::filesystem::path>& paths,
                          const CsvOptions& options = {});
// The same for text in memory; `name` stands for the file in errors.
Result<CsvTable> parse_csv(std::string_view text, std::string_view name,
                           const CsvOptions& options = {});

// The table as a data set with float32 features; a number beyond float32's range is an error.
Result<Dataset> load_csv(const std::filesystem::path& path, const CsvOptions& options = {});
// The same for apps: umbel::Error on failure.
Dataset csv(const std::filesystem::path& path, const CsvOptions& options = {});

}  // namespace umbel::data
