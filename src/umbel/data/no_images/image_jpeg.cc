#include "umbel/data/image_decoders.h"

namespace umbel::data {

Result<Array> decode_jpeg(std::span<const std::byte>) {
  return failed_precondition(
      "a JPEG image, and this Umbel was built without images; install libjpeg62-turbo-dev and "
      "build it again, or "
      "convert the images to PGM or PPM");
}

}  // namespace umbel::data
