#include "umbel/data/open_dataset.h"

#include "umbel/data/array_dataset.h"
#include "umbel/data/csv.h"
#include "umbel/data/folder_list.h"
#include "umbel/data/idx.h"
#include "umbel/data/json_lines.h"
#include "umbel/record/npz.h"
#include "umbel/record/safetensors.h"

namespace umbel::data {

namespace {

Result<Dataset> annotated(Result<Dataset> dataset, const std::filesystem::path& path) {
  if (!dataset.ok()) return annotate(dataset.status(), path.string());
  return dataset;
}

Result<Dataset> open_idx(const DatasetPlace& place) {
  Dataset dataset;
  UMBEL_ASSIGN_OR_RETURN(const Array features, read_idx(place.paths[0]));
  UMBEL_ASSIGN_OR_RETURN(const Array labels, read_idx(place.paths[1]));
  const ArrayRecord arrays{{"x", features}, {"y", labels}};
  return annotated(to_dataset(arrays, {}, place.paths[0].filename().string()), place.paths[0]);
}

// The name given, or the first of the usual ones that there is.
std::string chosen(const ArrayRecord& arrays, const std::string& given,
                   std::initializer_list<std::string> usual) {
  if (!given.empty()) return given;
  for (const std::string& name : usual) {
    if (arrays.contains(name)) return name;
  }
  return *usual.begin();
}

Result<Dataset> open_arrays(const ArrayRecord& arrays, const std::filesystem::path& path,
                            const OpenOptions& options) {
  const std::string& split = options.split;
  ArrayNames names;
  names.features = chosen(arrays, options.features,
                          {"x", "X", "features", "images", "data", "x_" + split, "X_" + split,
                           split + "_x", split + "_images"});
  names.labels = chosen(arrays, options.label,
                        {"y", "Y", "labels", "label", "targets", "target", "y_" + split,
                         "Y_" + split, split + "_y", split + "_labels"});
  names.natural_ids = options.natural_id;
  return annotated(to_dataset(arrays, names, path.filename().string()), path);
}

std::string label_of(const OpenOptions& options) {
  return options.label.empty() ? "label" : options.label;
}

Result<Dataset> open_csv(const DatasetPlace& place, const std::filesystem::path& path,
                         const OpenOptions& options) {
  CsvOptions csv;
  csv.label = label_of(options);
  csv.natural_id = options.natural_id;
  csv.ignored = options.ignored;
  csv.separator = place.paths.front().extension() == ".tsv" ? '\t' : ',';
  if (options.separator != '\0') csv.separator = options.separator;
  UMBEL_ASSIGN_OR_RETURN(Table table, read_csv(place.paths, csv));
  return annotated(to_dataset(std::move(table), name_of_path(path)), path);
}

Result<Dataset> open_json(const DatasetPlace& place, const std::filesystem::path& path,
                          const OpenOptions& options) {
  const JsonOptions json{label_of(options), options.natural_id, options.ignored};
  UMBEL_ASSIGN_OR_RETURN(Table table, read_json(place.paths, json));
  return annotated(to_dataset(std::move(table), name_of_path(path)), path);
}

}  // namespace

Result<Dataset> open_dataset(const std::filesystem::path& path, const OpenOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(const DatasetPlace place, find_dataset(path, options));
  const std::filesystem::path& first = place.paths.front();
  switch (place.kind) {
    case DatasetKind::kIdx:
      return open_idx(place);
    case DatasetKind::kNpz: {
      UMBEL_ASSIGN_OR_RETURN(const ArrayRecord arrays, map_npz(first));
      return open_arrays(arrays, first, options);
    }
    case DatasetKind::kSafetensors: {
      UMBEL_ASSIGN_OR_RETURN(const ArrayRecord arrays, read_safetensors(first));
      return open_arrays(arrays, first, options);
    }
    case DatasetKind::kCsv:
      return open_csv(place, path, options);
    case DatasetKind::kJson:
      return open_json(place, path, options);
    case DatasetKind::kImageFolder:
      return load_image_folder(first, options.images);
    case DatasetKind::kText:
      break;
  }
  return load_text(first, options.text);
}

Dataset open(const std::filesystem::path& path, const OpenOptions& options) {
  return or_throw(open_dataset(path, options));
}

}  // namespace umbel::data
