#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "umbel/base/files.h"
#include "umbel/data/array_cache.h"
#include "umbel/data/dataset.h"
#include "umbel/data/idx.h"

namespace umbel::data {

namespace {

constexpr char kDebianFolder[] = "/usr/share/datasets/fashion-mnist";
constexpr int64_t kClasses = 10;

std::filesystem::path source_folder() {
  const char* folder = std::getenv("UMBEL_FASHION_MNIST");
  return folder && *folder ? folder : kDebianFolder;
}

Status with_advice(const Status& status) {
  if (!absl::IsNotFound(status)) return status;
  return not_found(
      "{}; install it with `apt install dataset-fashion-mnist` or set UMBEL_FASHION_MNIST to the "
      "folder that has it",
      message_of(status));
}

// int32 from the uint8 of the file.
Result<Array> widen(const Array& labels, const std::string& path) {
  if (labels.dtype() != DType::kUint8) {
    return invalid_argument("{}: {}, expected uint8 labels", path, labels.describe());
  }
  Array wide = Array::uninitialized(DType::kInt32, labels.shape());
  std::ranges::copy(labels.view<uint8_t>(), wide.mutable_view<int32_t>().begin());
  return wide;
}

}  // namespace

Result<Dataset> load_fashion_mnist(Split split) {
  const std::string stem = split == Split::kTrain ? "train" : "t10k";
  const auto images = source_folder() / (stem + "-images-idx3-ubyte.gz");
  const auto labels = source_folder() / (stem + "-labels-idx1-ubyte.gz");
  Result<Array> narrow = read_idx(labels);
  if (!narrow.ok()) return with_advice(narrow.status());
  Result<Array> pixels = read_idx_cached(
      images, umbel_home() / "cache" / "fashion-mnist" / (stem + "-images.umbel-array"));
  if (!pixels.ok()) return with_advice(pixels.status());
  Dataset dataset;
  dataset.features = *std::move(pixels);
  UMBEL_ASSIGN_OR_RETURN(dataset.labels, widen(*narrow, labels.string()));
  dataset.classes = kClasses;
  dataset.name = split == Split::kTrain ? "fashion-mnist/train" : "fashion-mnist/test";
  dataset.class_names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                         "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  UMBEL_RETURN_IF_ERROR(check(dataset));
  return dataset;
}

Dataset fashion_mnist(Split split) { return or_throw(load_fashion_mnist(split)); }

}  // namespace umbel::data
