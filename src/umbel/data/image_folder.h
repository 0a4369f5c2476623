#pragma once

#include <cstdint>
#include <filesystem>

#include "umbel/data/dataset.h"
#include "umbel/data/image.h"

namespace umbel::data {

inline constexpr uint64_t kImageFolderBytesMax = uint64_t{64} << 30;  // of all pixels

struct ImageFolderOptions {
  int64_t height = 0;  // in pixels; 0, with width: that of the first image
  int64_t width = 0;
  int channels = 0;      // 1 grey, 3 red, green, blue; 0: those of the first image
  bool resize = false;   // brings other sizes to height and width by area means
  bool by_site = false;  // folder/SITE/CLASS/IMAGE: the site is the natural id
};

// Images by class: folder/CLASS/IMAGE, in the order of the names' bytes.  Features are uint8
// [n, height, width] (grey) or [n, height, width, 3].  A class without an image keeps its number,
// so that sites can agree on them; classes of sites are those of all sites together.
//
// Errors name the file: INVALID_ARGUMENT for an image of another size or other channels than the
// first, for what is no image, for a folder where an image should be; and what image.h says.
// RESOURCE_EXHAUSTED if all pixels together are beyond the limit, before they are read.
Result<Dataset> load_image_folder(const std::filesystem::path& folder,
                                  const ImageFolderOptions& options = {});
// The same for apps: umbel::Error on failure.
Dataset image_folder(const std::filesystem::path& folder, const ImageFolderOptions& options = {});

}  // namespace umbel::data
