#include "umbel/data/image.h"

namespace umbel::data {

std::string_view image_formats() {
  return "PGM, PPM (PNG and JPEG once libpng-dev and libjpeg62-turbo-dev are installed and Umbel "
         "is "
         "built again)";
}

}  // namespace umbel::data
