#include "umbel/data/partition_axis.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "umbel/data/partition_options.h"
#include "umbel/data/partition_parts.h"

namespace umbel::data {

namespace {

// Calls `body` with the elements as what they are; false for a dtype that an axis cannot have.
template <class Body>
bool with_values(const Array& values, const Body& body) {
  switch (values.dtype()) {
    case DType::kUint8:
      return body(values.view<uint8_t>()), true;
    case DType::kInt32:
      return body(values.view<int32_t>()), true;
    case DType::kInt64:
      return body(values.view<int64_t>()), true;
    case DType::kFloat32:
      return body(values.view<float>()), true;
    case DType::kFloat64:
      return body(values.view<double>()), true;
    default:
      return false;
  }
}

}  // namespace

Status check_axis(const Array& values) {
  if (values.shape().size() != 1) {
    return invalid_argument("values of an axis are {}, expected [n]", values.describe());
  }
  UMBEL_RETURN_IF_ERROR(check_examples(static_cast<uint64_t>(values.size())));
  Status status;
  const bool known = with_values(values, [&](const auto elements) {
    const auto wrong = std::ranges::find_if(
        elements, [](const auto value) { return !std::isfinite(static_cast<double>(value)); });
    if (wrong == elements.end()) return;
    status = invalid_argument("example {} has the value {} on the axis, expected a finite number",
                              wrong - elements.begin(), *wrong);
  });
  if (known) return status;
  return invalid_argument(
      "values of an axis are {}, expected uint8, int32, int64, float32 or float64",
      values.describe());
}

std::vector<uint32_t> axis_order(const Array& values, Rng& rng) {
  std::vector<uint32_t> order = shuffled(static_cast<uint64_t>(values.size()), rng);
  with_values(values, [&](const auto elements) {
    std::ranges::stable_sort(order, {}, [&](uint32_t example) { return elements[example]; });
  });
  return order;
}

}  // namespace umbel::data
