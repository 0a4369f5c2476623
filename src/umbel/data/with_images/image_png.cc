#include <png.h>

#include <cstring>

#include "umbel/data/image_decoders.h"

namespace umbel::data {

namespace {

// libpng's simplified interface: errors are a text in the image, nothing jumps.
class PngImage {
 public:
  PngImage() {
    std::memset(&image_, 0, sizeof image_);
    image_.version = PNG_IMAGE_VERSION;
  }
  ~PngImage() { png_image_free(&image_); }
  PngImage(const PngImage&) = delete;
  png_image* operator->() { return &image_; }
  png_image* get() { return &image_; }
  Status damaged() const { return data_loss("PNG: {}", image_.message); }

 private:
  png_image image_;
};

// The first `kept` of each pixel's `stored` samples.
Array without_alpha(const Buffer& samples, Shape shape, size_t kept, size_t stored) {
  Array image = Array::uninitialized(DType::kUint8, std::move(shape));
  const auto out = image.mutable_view<uint8_t>();
  const auto* in = reinterpret_cast<const uint8_t*>(samples.data());
  for (size_t i = 0; i != out.size(); ++i) out[i] = in[i / kept * stored + i % kept];
  return image;
}

}  // namespace

Result<Array> decode_png(std::span<const std::byte> bytes) {
  PngImage image;
  if (!png_image_begin_read_from_memory(image.get(), bytes.data(), bytes.size())) {
    return image.damaged();
  }
  UMBEL_RETURN_IF_ERROR(check_image_size(image->height, image->width));
  // 16 bits are sRGB as 8 are, not linear light.
  image->flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  const bool colour = (image->format & PNG_FORMAT_FLAG_COLOR) != 0;
  const bool alpha = (image->format & PNG_FORMAT_FLAG_ALPHA) != 0;
  // With its alpha: without it the library would lay the image over some background.
  image->format = (colour ? PNG_FORMAT_FLAG_COLOR : 0u) | (alpha ? PNG_FORMAT_FLAG_ALPHA : 0u);
  const size_t kept = colour ? 3 : 1;
  const size_t stored = kept + (alpha ? 1 : 0);
  Shape shape{int64_t{image->height}, int64_t{image->width}};
  if (colour) shape.push_back(3);
  const size_t row = stored * image->width;
  Buffer samples = Buffer::allocate(row * image->height);
  const int read = png_image_finish_read(image.get(), nullptr, samples.mutable_bytes().data(),
                                         static_cast<png_int_32>(row), nullptr);
  if (!read) return image.damaged();
  if (alpha) return without_alpha(samples, std::move(shape), kept, stored);
  return Array::make(DType::kUint8, std::move(shape), std::move(samples));
}

}  // namespace umbel::data
