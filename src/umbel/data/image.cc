#include "umbel/data/image.h"

#include "umbel/base/buffer.h"
#include "umbel/data/image_decoders.h"

namespace umbel::data {

namespace {

bool starts_with(std::span<const std::byte> bytes, std::string_view magic) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.starts_with(magic);
}

int channels_of(const Array& image) { return image.shape().size() == 3 ? 3 : 1; }

Array to_grey(const Array& image) {
  Array grey = Array::uninitialized(DType::kUint8, {image.shape()[0], image.shape()[1]});
  const auto in = image.view<uint8_t>();
  const auto out = grey.mutable_view<uint8_t>();
  for (size_t i = 0; i != out.size(); ++i) {
    const uint32_t sum = 299u * in[3 * i] + 587u * in[3 * i + 1] + 114u * in[3 * i + 2];
    out[i] = static_cast<uint8_t>((sum + 500) / 1000);
  }
  return grey;
}

Array to_colours(const Array& image) {
  Array colours = Array::uninitialized(DType::kUint8, {image.shape()[0], image.shape()[1], 3});
  const auto in = image.view<uint8_t>();
  const auto out = colours.mutable_view<uint8_t>();
  for (size_t i = 0; i != out.size(); ++i) out[i] = in[i / 3];
  return colours;
}

Result<Array> decode(std::span<const std::byte> bytes) {
  switch (image_format_of(bytes)) {
    case ImageFormat::kPng:
      return decode_png(bytes);
    case ImageFormat::kJpeg:
      return decode_jpeg(bytes);
    case ImageFormat::kPnm:
      return decode_pnm(bytes);
    case ImageFormat::kUnknown:
      break;
  }
  if (bytes.empty()) return invalid_argument("the file is empty, expected an image");
  return invalid_argument("not an image of a known format; known are {}", image_formats());
}

}  // namespace

ImageFormat image_format_of(std::span<const std::byte> bytes) {
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n")) return ImageFormat::kPng;
  if (starts_with(bytes, "\xff\xd8\xff")) return ImageFormat::kJpeg;
  const bool digit = bytes.size() > 1 && bytes[1] >= std::byte{'1'} && bytes[1] <= std::byte{'6'};
  if (starts_with(bytes, "P") && digit) return ImageFormat::kPnm;
  return ImageFormat::kUnknown;
}

Status check_image_size(uint64_t height, uint64_t width) {
  if (height == 0 || width == 0) return invalid_argument("an image of {} x {}", width, height);
  if (height > uint64_t{kImageSideMax} || width > uint64_t{kImageSideMax}) {
    return resource_exhausted("{} x {} pixels, the limit of a side is {}", width, height,
                              kImageSideMax);
  }
  if (height * width > uint64_t{kImagePixelsMax}) {
    return resource_exhausted("{} x {} pixels, the limit is {} in all", width, height,
                              kImagePixelsMax);
  }
  return absl::OkStatus();
}

Result<Array> decode_image(std::span<const std::byte> bytes, int channels) {
  if (channels != 0 && channels != 1 && channels != 3) {
    return invalid_argument("option channels is {}, expected 1 or 3, or 0 for the image's own",
                            channels);
  }
  if (bytes.size() > kImageFileBytesMax) {
    return resource_exhausted("an image file of {} bytes, the limit is {}", bytes.size(),
                              kImageFileBytesMax);
  }
  UMBEL_ASSIGN_OR_RETURN(Array image, decode(bytes));
  if (channels == 0 || channels == channels_of(image)) return image;
  return channels == 1 ? to_grey(image) : to_colours(image);
}

Result<Array> read_image(const std::filesystem::path& path, int channels) {
  UMBEL_ASSIGN_OR_RETURN(const Buffer bytes, Buffer::map_file(path.string()));
  Result<Array> image = decode_image(bytes.bytes(), channels);
  if (!image.ok()) return annotate(image.status(), path.string());
  return image;
}

}  // namespace umbel::data
