#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "umbel/base/status.h"

namespace umbel::bundle {

// An entry of the archive: POSIX ustar, of which a bundle uses just this.  An entry's header is a
// function of these three, so that reading is comparing: what a header could say besides (links,
// devices, owners, times, extensions) has no place to be.
struct Entry {
  std::string path;
  uint64_t bytes = 0;
  bool executable = false;
};

inline constexpr size_t kBlockBytes = 512;
using Block = std::array<std::byte, kBlockBytes>;

// INVALID_ARGUMENT unless the path is relative, of printable ASCII without \ : * ? " < > |, its
// parts neither start with a dot nor with a space, nor end with one, it is within the limits of
// bundle.h and fits into a header: parts of at most 100 bytes.
Status check_path(std::string_view path);

// Requires a path that check_path() takes and at most kUnpackedBytesMax bytes.
Block header_of(const Entry& entry);

// OK if `block` is the header of this entry.  INVALID_ARGUMENT names the entry and the first thing
// that is otherwise.
Status require_header(std::span<const std::byte, kBlockBytes> block, const Entry& entry);

// The size that a header of this path and mode 0644 says; INVALID_ARGUMENT as require_header().
Result<uint64_t> bytes_of_header(std::span<const std::byte, kBlockBytes> block,
                                 std::string_view path);

// How many zeros follow the content to the end of its last block.
constexpr size_t padding_of(uint64_t bytes) {
  return static_cast<size_t>((kBlockBytes - bytes % kBlockBytes) % kBlockBytes);
}

}  // namespace umbel::bundle
