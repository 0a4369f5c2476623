#pragma once

#include <cstddef>
#include <span>

#include "umbel/data/image.h"

namespace umbel::data {

// One function a format, pixels with the file's own channels, 1 or 3.  with_images/ has those that
// need a library, no_images/ those that say that it is not there.
Result<Array> decode_png(std::span<const std::byte> bytes);
Result<Array> decode_jpeg(std::span<const std::byte> bytes);
Result<Array> decode_pnm(std::span<const std::byte> bytes);

// RESOURCE_EXHAUSTED beyond the limits of image.h, INVALID_ARGUMENT for an image without pixels.
Status check_image_size(uint64_t height, uint64_t width);

}  // namespace umbel::data
