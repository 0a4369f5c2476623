#pragma once

#include <string>
#include <string_view>

#include "umbel/base/status.h"
#include "umbel/record/dtype.h"

namespace umbel {

struct NpyDescr {
  DType dtype = DType::kFloat32;
  bool big_endian = false;
};

// The element type that an .npy header's `descr` names: "<f4", ">i8", "?", "float32", as NumPy
// reads them on 64-bit Linux.  INVALID_ARGUMENT that says which kind of type it is, if not ours.
Result<NpyDescr> parse_npy_descr(std::string_view descr);

// What NumPy writes: "<f4".  INVALID_ARGUMENT for bfloat16, which .npy cannot say.
Result<std::string> npy_descr(DType dtype);

}  // namespace umbel
