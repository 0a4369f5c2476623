#include "umbel/data/array_dataset.h"

#include <algorithm>

#include "umbel/base/text.h"
#include "umbel/data/array_convert.h"
#include "umbel/record/npz.h"
#include "umbel/record/safetensors.h"

namespace umbel::data {

namespace {

Result<const Array*> find_array(const ArrayRecord& arrays, const std::string& name,
                                const char* purpose) {
  if (const Array* array = arrays.find(name)) return array;
  std::string there;
  for (const auto& [other, array] : arrays) {
    constexpr size_t kShownMax = 500;
    if (there.size() > kShownMax) {
      there += ", ...";
      break;
    }
    there += fmt::format("{}{} {}", there.empty() ? "" : ", ", escaped(other), array.describe());
  }
  return not_found("there is no array \"{}\" for the {}; there are: {}", escaped(name), purpose,
                   there.empty() ? "none" : there);
}

Result<Array> column_of(const ArrayRecord& arrays, const std::string& name, const char* purpose) {
  UMBEL_ASSIGN_OR_RETURN(const Array* array, find_array(arrays, name, purpose));
  Result<Array> column = as_int32_column(*array);
  if (!column.ok()) {
    return annotate(column.status(), fmt::format("{} \"{}\"", purpose, escaped(name)));
  }
  return column;
}

Result<Dataset> named(Result<Dataset> dataset, const std::filesystem::path& path) {
  if (!dataset.ok()) return annotate(dataset.status(), path.string());
  return dataset;
}

}  // namespace

Result<Dataset> to_dataset(const ArrayRecord& arrays, const ArrayNames& names, std::string name) {
  UMBEL_ASSIGN_OR_RETURN(const Array* features, find_array(arrays, names.features, "features"));
  Dataset dataset;
  UMBEL_ASSIGN_OR_RETURN(dataset.labels, column_of(arrays, names.labels, "labels"));
  Result<Array> fitting = as_features(*features);
  if (!fitting.ok()) {
    return annotate(fitting.status(), fmt::format("features \"{}\"", escaped(names.features)));
  }
  dataset.features = *std::move(fitting);
  if (!names.natural_ids.empty()) {
    UMBEL_ASSIGN_OR_RETURN(dataset.natural_ids,
                           column_of(arrays, names.natural_ids, "natural ids"));
  }
  if (dataset.labels.size() == 0) return invalid_argument("there are no examples");
  const auto labels = dataset.labels.view<int32_t>();
  dataset.classes = names.classes;
  if (dataset.classes == 0) {
    dataset.classes = std::max<int64_t>(1, int64_t{*std::ranges::max_element(labels)} + 1);
  }
  dataset.name = std::move(name);
  UMBEL_RETURN_IF_ERROR(check(dataset));
  return dataset;
}

Result<Dataset> load_npz(const std::filesystem::path& path, const ArrayNames& names) {
  UMBEL_ASSIGN_OR_RETURN(const ArrayRecord arrays, map_npz(path));
  return named(to_dataset(arrays, names, path.filename().string()), path);
}

Result<Dataset> load_safetensors(const std::filesystem::path& path, const ArrayNames& names) {
  UMBEL_ASSIGN_OR_RETURN(const ArrayRecord arrays, read_safetensors(path));
  return named(to_dataset(arrays, names, path.filename().string()), path);
}

Dataset npz(const std::filesystem::path& path, const ArrayNames& names) {
  return or_throw(load_npz(path, names));
}
Dataset safetensors(const std::filesystem::path& path, const ArrayNames& names) {
  return or_throw(load_safetensors(path, names));
}

}  // namespace umbel::data
