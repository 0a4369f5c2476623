#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "umbel/base/buffer.h"
#include "umbel/record/record.h"

namespace umbel {

// NumPy's .npz files: a zip archive of .npy files, one for each array, stored or deflated.

// Limits on what an archive may make of us, held before anything is unpacked.
inline constexpr uint64_t kNpzEntriesMax = 10'000;
inline constexpr uint64_t kNpzBytesMax = uint64_t{64} << 30;  // of all entries, unpacked
// Deflate makes up to 1,000 bytes of one.  An archive may unpack to kNpzSmallBytes in any case, and
// above that to kNpzRatioMax times its own length.
inline constexpr uint64_t kNpzSmallBytes = uint64_t{64} << 20;
inline constexpr uint64_t kNpzRatioMax = 200;

// The arrays in the archive's order, under their names without ".npy".  INVALID_ARGUMENT that names
// the entry for a name twice or without .npy, for encryption and other compressions, for a wrong
// checksum or length, and for what parse_npy refuses; RESOURCE_EXHAUSTED beyond the limits.  A
// stored array is a slice of `bytes` where it is aligned there (bytes always are); others are
// copied once.
Result<ArrayRecord> parse_npz(const Buffer& bytes);
// The same from a file, mapped: it must not shrink while the arrays live.
Result<ArrayRecord> read_npz(const std::filesystem::path& path);
// The same without looking at stored arrays' checksums: nothing of them is read before it is used.
// For data that are larger than a model, as .npy, IDX and .safetensors have no checksums either.
Result<ArrayRecord> map_npz(const std::filesystem::path& path);

// The archive: entries stored, in the record's order, dated 1980-01-01, so that equal records give
// equal bytes; elements at multiples of 64 bytes, so that they can be mapped.  Takes as much memory
// as the archive is long.  INVALID_ARGUMENT for bfloat16 arrays and for names that are not UTF-8 or
// hold a NUL.
Result<Buffer> format_npz(const ArrayRecord& arrays);
// Writes atomically (see AtomicFile): on failure `path` is as it was.
Status write_npz(const std::filesystem::path& path, const ArrayRecord& arrays);

}  // namespace umbel
