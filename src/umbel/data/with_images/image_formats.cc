#include "umbel/data/image.h"

namespace umbel::data {

std::string_view image_formats() { return "PNG, JPEG, PGM, PPM"; }

}  // namespace umbel::data
