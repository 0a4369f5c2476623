#include "umbel/data/json_lines.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>

#include "umbel/base/check.h"

namespace {

using namespace umbel;

// Each row as one object: its numbers in one list, labels and owners as texts.
std::string format_json(const data::Table& table) {
  std::string file;
  const auto values = table.values.view<double>();
  const auto labels = table.labels.view<int32_t>();
  const size_t columns = table.columns.size();
  for (size_t row = 0; row != labels.size(); ++row) {
    file += "{\"x\":[";
    for (size_t i = 0; i != columns; ++i) {
      file += fmt::format("{}{}", i == 0 ? "" : ",", values[row * columns + i]);
    }
    file += fmt::format("],\"label\":{}}}\n", labels[row]);
  }
  return file;
}

}  // namespace

// What parses must hold to its own shape, and come back the same from objects that we would write.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<data::Table> table = data::parse_json(text, "input");
  if (!table.ok()) return 0;
  UMBEL_CHECK(table->values.shape() ==
              (Shape{table->labels.size(), static_cast<int64_t>(table->columns.size())}));
  const auto labels = table->labels.view<int32_t>();
  UMBEL_CHECK(std::ranges::all_of(
      labels, [&](int32_t label) { return label >= 0 && label < table->class_count; }));
  const Result<data::Table> again = data::parse_json(format_json(*table), "again");
  if (absl::IsResourceExhausted(again.status())) return 0;  // a line is longer than it was
  UMBEL_CHECK(again.ok());
  UMBEL_CHECK(again->values.bytes().size() == table->values.bytes().size());
  UMBEL_CHECK(std::ranges::equal(again->values.view<double>(), table->values.view<double>()));
  UMBEL_CHECK(again->labels == table->labels);
  return 0;
}
