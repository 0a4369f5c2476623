#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "umbel/base/buffer.h"
#include "umbel/record/record.h"

namespace umbel {

// The .safetensors format: the length of a header (8 bytes, little-endian), the header (a JSON
// object that gives each array's dtype, shape and place), and the elements one array after the
// other.  https://huggingface.co/docs/safetensors/ describes it.

inline constexpr size_t kSafetensorsHeaderMax = 100'000'000;  // bytes; the format's own limit
inline constexpr size_t kSafetensorsArraysMax = 100'000;
inline constexpr size_t kSafetensorsRankMax = 64;

// The arrays in the order of their places.  No copy: each array is a slice of `bytes`, unless it is
// misaligned there.  INVALID_ARGUMENT, before anything is allocated for elements, unless the places
// cover the data without hole or overlap and agree with dtype and shape, names and keys are
// distinct, and nothing but `__metadata__` (texts by name; ignored) stands beside the arrays.  The
// header takes memory of a small multiple of its length while it is read.
Result<ArrayRecord> parse_safetensors(const Buffer& bytes);
// The same from a file, mapped: it must not shrink while the arrays live.
Result<ArrayRecord> read_safetensors(const std::filesystem::path& path);

// All that comes before the elements, the length included, padded so that the elements start at a
// multiple of 8.  INVALID_ARGUMENT for complex arrays, for a name that is not UTF-8, and for an
// array named `__metadata__`.
Result<std::string> safetensors_header(const ArrayRecord& arrays);
// Writes the arrays in the record's order, atomically (see AtomicFile) and without a copy of them.
Status write_safetensors(const std::filesystem::path& path, const ArrayRecord& arrays);
// SHA-256, in hexadecimal, of the bytes that write_safetensors writes; umbel::Error where it fails.
std::string safetensors_sha256(const ArrayRecord& arrays);

}  // namespace umbel
