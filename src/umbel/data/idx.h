#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "umbel/record/array.h"

namespace umbel::data {

// IDX, the format of MNIST and its successors (LeCun, "The MNIST database"):
//
//   file    = 0x00 0x00 type rank extent*rank element*
//   type    = 0x08 uint8 | 0x09 int8 | 0x0B int16 | 0x0C int32 | 0x0D float32 | 0x0E float64
//   rank    = one byte;  extent = 32 bits;  extents and elements are big-endian, in C order
//
// A file that starts like gzip is unpacked on the way.
inline constexpr int kIdxRankMax = 8;
inline constexpr uint64_t kIdxBytesMax = uint64_t{16} << 30;  // of elements

// The whole array: mapped, if the file is not packed and its elements have one byte (then it must
// not shrink while the array lives), otherwise in memory of its own.  The header is held against
// the limits and against the length of the file before anything is allocated.  Errors name the
// file: INVALID_ARGUMENT for a bad header, DATA_LOSS for missing, extra or damaged bytes,
// RESOURCE_EXHAUSTED beyond the limit.
Result<Array> read_idx(const std::filesystem::path& path);

// The same for bytes in memory; `name` stands for the file in errors.
Result<Array> parse_idx(std::span<const std::byte> bytes, std::string_view name);

}  // namespace umbel::data
