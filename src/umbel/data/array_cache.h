#pragma once

#include <filesystem>
#include <string_view>

#include "umbel/record/array.h"

namespace umbel::data {

// One array in a file that maps in no time: a header of kCacheHeaderBytes, then the elements.
//
//   header = magic[16] stamp[64] dtype:u32 rank:u32 extent:u64[8] crc:u32 zeros   (little-endian)
//
// stamp: SHA-256, in hexadecimal, of whatever says that the content is current; crc: CRC-32 of the
// header before it.  The file appears under its name whole or not at all, so the elements are not
// summed again on reading, but the file's length must be right.
inline constexpr size_t kCacheHeaderBytes = 192;

Status store_array(const std::filesystem::path& path, std::string_view stamp, const Array& array);
// The array, mapped; NOT_FOUND if there is none with this stamp, DATA_LOSS if the file is damaged.
Result<Array> map_array(const std::filesystem::path& path, std::string_view stamp);

// read_idx(source) by way of the cache file `path`.  What goes wrong with the cache is no error:
// the source is then read as if there were none.
Result<Array> read_idx_cached(const std::filesystem::path& source,
                              const std::filesystem::path& path);

}  // namespace umbel::data
