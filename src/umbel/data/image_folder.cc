#include "umbel/data/image_folder.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "umbel/data/folder_list.h"

namespace umbel::data {

namespace {

struct Found {
  std::filesystem::path path;
  std::string class_name;
  int32_t site = 0;
};

struct Finding {
  std::vector<Found> images;
  std::set<std::string> classes;
  std::vector<std::string> sites;
};

// The entries of a folder that may hold nothing but folders.
Result<std::vector<FolderEntry>> list_folders(const std::filesystem::path& path) {
  UMBEL_ASSIGN_OR_RETURN(std::vector<FolderEntry> entries, list_folder(path));
  for (const FolderEntry& entry : entries) {
    if (entry.is_folder) continue;
    return invalid_argument(
        "{}: a file, expected a folder for each class or site; move it out of {}, or hide it by a "
        "name that begins with a dot",
        entry.path.string(), path.string());
  }
  return entries;
}

// Those of a folder that may hold nothing but images.
Result<std::vector<FolderEntry>> list_images(const std::filesystem::path& path, bool by_site) {
  UMBEL_ASSIGN_OR_RETURN(std::vector<FolderEntry> entries, list_folder(path));
  for (const FolderEntry& entry : entries) {
    if (!entry.is_folder) continue;
    return invalid_argument("{}: a folder, expected images of one class{}", entry.path.string(),
                            by_site ? "" : "; if folders are SITE/CLASS/IMAGE, say --by-site");
  }
  return entries;
}

Status find_classes(const std::filesystem::path& folder, bool by_site, Finding& finding) {
  UMBEL_ASSIGN_OR_RETURN(const auto classes, list_folders(folder));
  for (const FolderEntry& each : classes) {
    finding.classes.insert(each.name);
    if (finding.classes.size() > static_cast<size_t>(kClassesMax)) {
      return resource_exhausted("{}: more than the limit of {} classes", folder.string(),
                                kClassesMax);
    }
    UMBEL_ASSIGN_OR_RETURN(auto images, list_images(each.path, by_site));
    const auto site = static_cast<int32_t>(by_site ? finding.sites.size() - 1 : 0);
    for (FolderEntry& image : images) {
      finding.images.push_back({std::move(image.path), each.name, site});
    }
  }
  return absl::OkStatus();
}

Result<Finding> find_images(const std::filesystem::path& folder, bool by_site) {
  Finding finding;
  if (!by_site) {
    UMBEL_RETURN_IF_ERROR(find_classes(folder, false, finding));
  } else {
    UMBEL_ASSIGN_OR_RETURN(const auto sites, list_folders(folder));
    for (const FolderEntry& site : sites) {
      finding.sites.push_back(site.name);
      UMBEL_RETURN_IF_ERROR(find_classes(site.path, true, finding));
    }
  }
  if (finding.images.empty()) {
    return invalid_argument("{}: no images, expected {}", folder.string(),
                            by_site ? "SITE/CLASS/IMAGE" : "CLASS/IMAGE");
  }
  return finding;
}

Status check_options(const ImageFolderOptions& options) {
  const auto side = [](int64_t pixels) { return pixels >= 0 && pixels <= kImageSideMax; };
  if (!side(options.height) || !side(options.width) ||
      (options.height == 0) != (options.width == 0)) {
    return invalid_argument("options height and width are {} and {}, expected 1 to {}, or 0 and 0",
                            options.height, options.width, kImageSideMax);
  }
  return absl::OkStatus();
}

// What every image has to be.
struct Wanted {
  int64_t height, width;
  int channels;  // 1 or 3

  size_t bytes() const { return static_cast<size_t>(height * width * channels); }
};

int channels_of(const Array& image) { return image.shape().size() == 3 ? 3 : 1; }

// The image as it goes into the features, or why it does not.
Result<Array> fitted(Array image, const Wanted& wanted, bool resize) {
  if (channels_of(image) != wanted.channels) {
    return invalid_argument("{} channels, the images before have {}; set channels to 1 or 3",
                            channels_of(image), wanted.channels);
  }
  if (image.shape()[0] == wanted.height && image.shape()[1] == wanted.width) return image;
  if (resize) return resize_image(image, wanted.height, wanted.width);
  return invalid_argument("{} x {} pixels, expected {} x {}; resize makes them alike",
                          image.shape()[1], image.shape()[0], wanted.width, wanted.height);
}

Result<Array> read_all(const std::vector<Found>& images, const ImageFolderOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(const Array first, read_image(images.front().path, options.channels));
  Wanted wanted{options.height, options.width, channels_of(first)};
  if (wanted.height == 0) {
    wanted.height = first.shape()[0];
    wanted.width = first.shape()[1];
  }
  const auto count = static_cast<int64_t>(images.size());
  if (count > kExamplesMax || images.size() > kImageFolderBytesMax / wanted.bytes()) {
    return resource_exhausted("{} images of {} x {} x {} take more than the limit of {} bytes",
                              count, wanted.width, wanted.height, wanted.channels,
                              kImageFolderBytesMax);
  }
  Shape shape{count, wanted.height, wanted.width};
  if (wanted.channels == 3) shape.push_back(3);
  Array features = Array::uninitialized(DType::kUint8, std::move(shape));
  uint8_t* out = features.mutable_view<uint8_t>().data();
  for (const Found& found : images) {
    UMBEL_ASSIGN_OR_RETURN(Array image, read_image(found.path, options.channels));
    const Result<Array> fit = fitted(std::move(image), wanted, options.resize);
    if (!fit.ok()) return annotate(fit.status(), found.path.string());
    std::memcpy(out, fit->bytes().data(), fit->byte_size());
    out += fit->byte_size();
  }
  return features;
}

}  // namespace

Result<Dataset> load_image_folder(const std::filesystem::path& folder,
                                  const ImageFolderOptions& options) {
  UMBEL_RETURN_IF_ERROR(check_options(options));
  UMBEL_ASSIGN_OR_RETURN(Finding finding, find_images(folder, options.by_site));
  Dataset dataset;
  Result<Array> features = read_all(finding.images, options);
  if (!features.ok()) return features.status();
  dataset.features = *std::move(features);
  dataset.class_names.assign(finding.classes.begin(), finding.classes.end());
  dataset.classes = static_cast<int64_t>(dataset.class_names.size());
  const auto count = static_cast<int64_t>(finding.images.size());
  dataset.labels = Array::uninitialized(DType::kInt32, {count});
  auto* label = dataset.labels.mutable_view<int32_t>().data();
  for (const Found& found : finding.images) {
    *label++ =
        static_cast<int32_t>(std::ranges::lower_bound(dataset.class_names, found.class_name) -
                             dataset.class_names.begin());
  }
  if (options.by_site) {
    dataset.natural_ids = Array::uninitialized(DType::kInt32, {count});
    auto* id = dataset.natural_ids.mutable_view<int32_t>().data();
    for (const Found& found : finding.images) *id++ = found.site;
    dataset.natural_names = std::move(finding.sites);
  }
  dataset.name = name_of_path(folder);
  UMBEL_RETURN_IF_ERROR(check(dataset));
  return dataset;
}

Dataset image_folder(const std::filesystem::path& folder, const ImageFolderOptions& options) {
  return or_throw(load_image_folder(folder, options));
}

}  // namespace umbel::data
