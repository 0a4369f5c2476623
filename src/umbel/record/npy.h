#pragma once

#include <filesystem>
#include <string>

#include "umbel/base/buffer.h"
#include "umbel/record/array.h"

namespace umbel {

// NumPy's .npy files.  What is accepted, and what not: npy_header.h.  Everything refused is
// INVALID_ARGUMENT with the reason, found before anything is allocated; what is allocated is never
// more than the input is long.

// The array that `bytes` hold; what follows its elements is ignored, as NumPy does.  No copy: the
// array is a slice of `bytes`, unless it is big-endian, in Fortran order or misaligned.  The bytes
// of a bool array are taken as they are, even if not 0 or 1.
Result<Array> parse_npy(Buffer bytes);
// The same from a file, mapped: it must not shrink while the array lives.
Result<Array> read_npy(const std::filesystem::path& path);

// What comes before the elements: the very bytes that numpy.save writes.  INVALID_ARGUMENT for
// bfloat16, which .npy cannot say, and for more dimensions than NumPy has.
Result<std::string> format_npy_header(const Array& array);
// Writes atomically (see AtomicFile): on failure `path` is as it was.
Status write_npy(const std::filesystem::path& path, const Array& array);

}  // namespace umbel
