#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/record/array.h"

namespace umbel {

// What a .safetensors header says of one array; the place is relative to the end of the header.
struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::kFloat32;
  Shape shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// The entries in the header's order.  INVALID_ARGUMENT unless `json` is an object of the format's
// form with distinct keys; places are not compared with one another or with shapes.
Result<std::vector<SafetensorsEntry>> parse_safetensors_entries(std::string_view json);

// "F32", and "" for what the format cannot say (complex numbers).
std::string_view safetensors_dtype(DType dtype);

}  // namespace umbel
