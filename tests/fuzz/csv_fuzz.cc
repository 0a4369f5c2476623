#include "umbel/data/csv.h"

#include <fmt/core.h>

#include <string>

#include "umbel/base/check.h"

namespace {

using namespace umbel;

std::string in_quotes(std::string_view text) {
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + "\"";
}

std::string format_csv(const data::CsvTable& table) {
  std::string file;
  for (const std::string& column : table.columns) file += in_quotes(column) + ",";
  file += "label\n";
  const auto values = table.values.view<double>();
  const auto labels = table.labels.view<int32_t>();
  for (size_t row = 0; row != labels.size(); ++row) {
    for (size_t i = 0; i != table.columns.size(); ++i) {
      file += fmt::format("{},", values[row * table.columns.size() + i]);
    }
    const auto label = static_cast<size_t>(labels[row]);
    file += table.classes.empty() ? std::to_string(label) : in_quotes(table.classes.at(label));
    file += '\n';
  }
  return file;
}

}  // namespace

// What parses must come back the same from the text that we would write for it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<data::CsvTable> table = data::parse_csv(text, "input");
  if (!table.ok()) return 0;
  const Result<data::CsvTable> again = data::parse_csv(format_csv(*table), "again");
  if (absl::IsResourceExhausted(again.status())) return 0;  // a line is longer than it was
  UMBEL_CHECK(again.ok());
  UMBEL_CHECK(again->columns == table->columns && again->values == table->values);
  UMBEL_CHECK(again->labels == table->labels && again->classes == table->classes);
  return 0;
}
