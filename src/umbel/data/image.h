#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "umbel/record/array.h"

namespace umbel::data {

// Limits on what an image file may make of us, held before anything is allocated for its pixels.
inline constexpr int64_t kImageSideMax = 32'768;               // of width and of height
inline constexpr int64_t kImagePixelsMax = int64_t{1} << 26;   // of width times height
inline constexpr size_t kImageFileBytesMax = size_t{1} << 30;  // of the file

enum class ImageFormat { kPng, kJpeg, kPnm, kUnknown };
// By the first bytes, not by the name.
ImageFormat image_format_of(std::span<const std::byte> bytes);

// Pixels as uint8 [height, width] (grey) or [height, width, 3] (red, green, blue).
//
// PNG (libpng), JPEG (libjpeg-turbo), PGM and PPM (P5 and P6).  Transparency is dropped, 16 bits a
// sample become 8, palettes colours; channels 1 or 3 turns colours into grey by
// (299 red + 587 green + 114 blue) / 1000, rounded, and grey into three equal channels; channels 0
// leaves them as they are.
//
// INVALID_ARGUMENT for another format, DATA_LOSS for a damaged or truncated file (also where a
// decoder could guess the rest), RESOURCE_EXHAUSTED beyond a limit, FAILED_PRECONDITION, saying
// what to install, where Umbel was built without the format's library.  Any thread.
Result<Array> decode_image(std::span<const std::byte> bytes, int channels = 0);
Result<Array> read_image(const std::filesystem::path& path, int channels = 0);

// The image in another size, each pixel the mean of the area that it covers, rounded.  Exact.
// height and width from 1 to kImageSideMax.
Array resize_image(const Array& image, int64_t height, int64_t width);

// Formats that this build can read: "PNG, JPEG, PGM, PPM".
std::string_view image_formats();

}  // namespace umbel::data
