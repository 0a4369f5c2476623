#include "umbel/data/image.h"

#include "umbel/base/check.h"

// What decodes keeps to the limits, and can be brought to another size (tried up to 2^20 pixels,
// since it takes its time).
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace umbel;
  constexpr size_t kFileMax = 4096;
  if (size > kFileMax) return 0;
  const Result<Array> image = data::decode_image(std::as_bytes(std::span(data, size)));
  if (!image.ok()) return 0;
  const Shape& shape = image->shape();
  UMBEL_CHECK(image->dtype() == DType::kUint8);
  UMBEL_CHECK(shape.size() == 2 || (shape.size() == 3 && shape[2] == 3));
  UMBEL_CHECK(shape[0] >= 1 && shape[0] <= data::kImageSideMax);
  UMBEL_CHECK(shape[1] >= 1 && shape[1] <= data::kImageSideMax);
  UMBEL_CHECK(shape[0] * shape[1] <= data::kImagePixelsMax);
  if (shape[0] * shape[1] > (int64_t{1} << 20)) return 0;
  const Array small = data::resize_image(*image, 3, 2);
  UMBEL_CHECK(small.shape()[0] == 3 && small.shape()[1] == 2);
  return 0;
}
