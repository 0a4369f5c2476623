#include "umbel/data/summary.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <unordered_map>

namespace umbel::data {

namespace {

template <class T>
void describe_numbers(std::span<const T> numbers, Summary& summary) {
  int64_t count = 0;
  double mean = 0;
  double squares = 0;  // Welford 1962: sum of squared distances from the mean
  for (const T number : numbers) {
    const auto value = static_cast<double>(number);
    if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(value)) {
        ++(std::isnan(value) ? summary.nan : summary.infinite);
        continue;
      }
    }
    if (count == 0) summary.least = summary.greatest = value;
    summary.least = std::min(summary.least, value);
    summary.greatest = std::max(summary.greatest, value);
    const double before = value - mean;
    mean += before / static_cast<double>(++count);
    squares += before * (value - mean);
  }
  if (count == 0) return;
  summary.mean = mean;
  summary.deviation = std::sqrt(squares / static_cast<double>(count));
}

void count_constant_columns(const Dataset& dataset, Summary& summary) {
  const size_t width = size_of(dataset.features.dtype());
  const auto columns = static_cast<size_t>(dataset.feature_size());
  const std::byte* first = dataset.features.bytes().data();
  std::vector<char> varies(columns, 0);
  const size_t row = columns * width;
  const auto rows = static_cast<size_t>(dataset.size());
  for (size_t i = 1; i < rows; ++i) {
    const std::byte* at = first + i * row;
    if (std::memcmp(first, at, row) == 0) continue;
    for (size_t j = 0; j != columns; ++j) {
      if (!varies[j]) varies[j] = std::memcmp(first + j * width, at + j * width, width) != 0;
    }
  }
  summary.constant_columns = std::ranges::count(varies, 0);
}

void count_duplicates(const Dataset& dataset, Summary& summary) {
  if (dataset.size() > kDuplicateExamplesMax) return;
  const size_t row =
      static_cast<size_t>(dataset.feature_size()) * size_of(dataset.features.dtype());
  const auto* bytes = reinterpret_cast<const char*>(dataset.features.bytes().data());
  const auto labels = dataset.labels.view<int32_t>();
  std::unordered_map<std::string_view, int32_t> seen;  // the label of the first of its kind
  seen.reserve(labels.size());
  int64_t duplicates = 0;
  int64_t contradictions = 0;
  for (size_t i = 0; i != labels.size(); ++i) {
    const auto [found, added] = seen.emplace(std::string_view(bytes + i * row, row), labels[i]);
    if (added) continue;
    ++duplicates;
    if (found->second != labels[i]) ++contradictions;
  }
  summary.duplicates = duplicates;
  summary.contradictions = contradictions;
}

void describe_owners(const Dataset& dataset, Summary& summary) {
  if (dataset.natural_ids.size() == 0) return;
  std::unordered_map<int32_t, int64_t> counts;
  for (const int32_t id : dataset.natural_ids.view<int32_t>()) ++counts[id];
  std::vector<int64_t> sizes;
  for (const auto& [id, count] : counts) sizes.push_back(count);
  std::ranges::sort(sizes);
  const size_t n = sizes.size();
  summary.owners = static_cast<int64_t>(n);
  summary.owner_size_min = sizes.front();
  summary.owner_size_median = static_cast<double>(sizes[(n - 1) / 2] + sizes[n / 2]) / 2;
  summary.owner_size_max = sizes.back();
}

}  // namespace

Summary summarize(const Dataset& dataset) {
  Summary summary;
  summary.class_counts.resize(static_cast<size_t>(dataset.classes));
  for (const int32_t label : dataset.labels.view<int32_t>()) {
    ++summary.class_counts[static_cast<size_t>(label)];
  }
  switch (dataset.features.dtype()) {
    case DType::kUint8:
      describe_numbers(dataset.features.view<uint8_t>(), summary);
      break;
    case DType::kInt32:
      describe_numbers(dataset.features.view<int32_t>(), summary);
      break;
    default:
      describe_numbers(dataset.features.view<float>(), summary);
      break;
  }
  count_constant_columns(dataset, summary);
  count_duplicates(dataset, summary);
  describe_owners(dataset, summary);
  return summary;
}

}  // namespace umbel::data
