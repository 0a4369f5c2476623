#include "umbel/data/image_decoders.h"

namespace umbel::data {

Result<Array> decode_png(std::span<const std::byte>) {
  return failed_precondition(
      "a PNG image, and this Umbel was built without images; install libpng-dev and build it "
      "again, or "
      "convert the images to PGM or PPM");
}

}  // namespace umbel::data
