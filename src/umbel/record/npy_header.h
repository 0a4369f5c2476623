#pragma once

#include <cstddef>
#include <span>

#include "umbel/record/array.h"

namespace umbel {

// What stands before the elements of an .npy file: NumPy's NEP 1, format versions 1.0, 2.0, 3.0.
struct NpyHeader {
  DType dtype = DType::kFloat32;
  bool big_endian = false;
  bool fortran_order = false;
  Shape shape;
  size_t bytes = 0;  // where the elements start
};

// NumPy's own limits: characters of the dict without allow_pickle, and dimensions (NumPy 2).
inline constexpr size_t kNpyHeaderTextMax = 10'000;
inline constexpr size_t kNpyRankMax = 64;

// Parses the header at the start of `bytes`; the elements are not looked at.  INVALID_ARGUMENT for
// all that numpy.load(allow_pickle=False) refuses, for object, structured, void, string, datetime
// and long double elements, and for a dict spelt in a way that no writer uses:
//
//   header = {blank} dict ({blank} | {blank | line end} line end)
//   dict   = "{" pair {"," pair} [","] "}"     each key once; blanks, line ends between tokens
//   pair   = "descr" ":" string | "fortran_order" ":" ("True" | "False") | "shape" ":" tuple
//   string = a run of printable ASCII in ' or ", without escapes (keys are strings, too)
//   tuple  = "(" [int "," {int ","} [int]] ")"
//   int    = ["+" | "-"] digits {"_" digits} {"L"}     not negative; L (Python 2) not in 3.0
Result<NpyHeader> parse_npy_header(std::span<const std::byte> bytes);

}  // namespace umbel
