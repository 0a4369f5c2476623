#include "umbel/data/dataset.h"

#include <algorithm>

namespace umbel::data {

namespace {

Status check_shapes(const Dataset& dataset) {
  const Array& features = dataset.features;
  const Array& labels = dataset.labels;
  if (labels.dtype() != DType::kInt32 || labels.shape().size() != 1) {
    return invalid_argument("labels are {}, expected int32[n]", labels.describe());
  }
  if (features.dtype() != DType::kUint8 && features.dtype() != DType::kInt32 &&
      features.dtype() != DType::kFloat32) {
    return invalid_argument("features are {}, expected uint8, int32 or float32",
                            features.describe());
  }
  if (features.shape().empty() || features.shape()[0] != labels.size()) {
    return invalid_argument("features are {}, expected an example for each of {} labels",
                            features.describe(), labels.size());
  }
  if (labels.size() > kExamplesMax) {
    return resource_exhausted("{} examples, the limit is {}", labels.size(), kExamplesMax);
  }
  return absl::OkStatus();
}

Status check_classes(const Dataset& dataset) {
  const int64_t classes = dataset.classes;
  if (classes < 1 || classes > kClassesMax) {
    return invalid_argument("{} classes, expected 1 to {}", classes, kClassesMax);
  }
  if (!dataset.class_names.empty() &&
      dataset.class_names.size() != static_cast<size_t>(dataset.classes)) {
    return invalid_argument("{} class names for {} classes", dataset.class_names.size(), classes);
  }
  const auto labels = dataset.labels.view<int32_t>();
  const auto wrong = std::find_if(labels.begin(), labels.end(),
                                  [&](int32_t label) { return label < 0 || label >= classes; });
  if (wrong != labels.end()) {
    return invalid_argument("example {} has label {}, expected 0 to {}", wrong - labels.begin(),
                            *wrong, classes - 1);
  }
  return absl::OkStatus();
}

Status check_natural_ids(const Dataset& dataset) {
  const Array& ids = dataset.natural_ids;
  if (ids.size() == 0 && dataset.natural_names.empty()) return absl::OkStatus();
  if (ids.dtype() != DType::kInt32 || ids.shape() != Shape{dataset.size()}) {
    return invalid_argument("natural ids are {}, expected int32[{}] or none", ids.describe(),
                            dataset.size());
  }
  const auto values = ids.view<int32_t>();
  const int64_t end = dataset.natural_names.empty()
                          ? int64_t{INT32_MAX} + 1
                          : static_cast<int64_t>(dataset.natural_names.size());
  const auto wrong =
      std::find_if(values.begin(), values.end(), [&](int32_t id) { return id < 0 || id >= end; });
  if (wrong == values.end()) return absl::OkStatus();
  return invalid_argument("example {} has natural id {}, expected 0 to {}", wrong - values.begin(),
                          *wrong, end - 1);
}

}  // namespace

Status check(const Dataset& dataset) {
  Status status = check_shapes(dataset);
  if (status.ok()) status = check_classes(dataset);
  if (status.ok()) status = check_natural_ids(dataset);
  return annotate(status, dataset.name.empty() ? "data set" : dataset.name);
}

}  // namespace umbel::data
