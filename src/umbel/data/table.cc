#include "umbel/data/table.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "umbel/data/field_text.h"

namespace umbel::data {

namespace {

Result<Array> narrowed(const Table& table) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  const auto values = table.values.view<double>();
  Array narrow = Array::uninitialized(DType::kFloat32, table.values.shape());
  const auto out = narrow.mutable_view<float>();
  for (size_t i = 0; i != values.size(); ++i) {
    if (std::fabs(values[i]) > kLargest) {
      return invalid_argument("row {}, column {}: {} is beyond float32's range",
                              i / table.columns.size() + 1,
                              shown(table.columns[i % table.columns.size()]), values[i]);
    }
    out[i] = static_cast<float>(values[i]);
  }
  return narrow;
}

}  // namespace

Status TableBuilder::add_value(double value) {
  if (!std::isfinite(value)) return invalid_argument("{}, expected a finite number", value);
  if (values_.size() == kTableValuesMax) {
    return resource_exhausted("more than the limit of {} numbers", kTableValuesMax);
  }
  values_.push_back(value);
  return absl::OkStatus();
}

Status TableBuilder::add_label(std::string_view text) {
  text = trimmed(text);
  if (text.empty()) return invalid_argument("the label is empty");
  if (static_cast<int64_t>(labels_.size()) == kExamplesMax) {
    return resource_exhausted("more than the limit of {} rows", kExamplesMax);
  }
  const Result<int32_t> id = classes_.add(text);
  if (!id.ok()) return annotate(id.status(), "labels");
  labels_.push_back(*id);
  return absl::OkStatus();
}

Status TableBuilder::add_natural_id(std::string_view text) {
  text = trimmed(text);
  if (text.empty()) return invalid_argument("the natural id is empty");
  const Result<int32_t> id = naturals_.add(text);
  if (!id.ok()) return annotate(id.status(), "natural ids");
  natural_ids_.push_back(*id);
  return absl::OkStatus();
}

Table TableBuilder::finish(std::vector<std::string> columns) {
  Table table;
  const auto numbers = classes_.as_numbers();
  const std::vector<int32_t> codes = numbers ? *numbers : classes_.as_ranks();
  if (!numbers) table.classes = classes_.texts();
  for (int32_t& label : labels_) label = codes[static_cast<size_t>(label)];
  table.class_count =
      codes.empty() ? 0 : int64_t{*std::max_element(codes.begin(), codes.end())} + 1;
  const auto rows = static_cast<int64_t>(labels_.size());
  table.labels = Array::copy_of<int32_t>(labels_, {rows});
  table.values = Array::copy_of<double>(values_, {rows, static_cast<int64_t>(columns.size())});
  if (!natural_ids_.empty()) {
    const std::vector<int32_t> ranks = naturals_.as_ranks();
    for (int32_t& id : natural_ids_) id = ranks[static_cast<size_t>(id)];
    table.natural_ids = Array::copy_of<int32_t>(natural_ids_, {rows});
    table.natural_names = naturals_.texts();
  }
  table.columns = std::move(columns);
  return table;
}

Result<Dataset> to_dataset(Table table, std::string name) {
  UMBEL_ASSIGN_OR_RETURN(Array features, narrowed(table));
  Dataset dataset{std::move(features),
                  std::move(table.labels),
                  table.class_count,
                  std::move(name),
                  std::move(table.classes),
                  std::move(table.columns),
                  std::move(table.natural_ids),
                  std::move(table.natural_names)};
  UMBEL_RETURN_IF_ERROR(check(dataset));
  return dataset;
}

}  // namespace umbel::data
