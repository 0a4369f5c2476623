#pragma once

#include <cstddef>

namespace umbel {

// Memory for models: blocks of kLargeBytesMin and more, on pages of 2 MiB where the system has
// them.  A model and its updates have the same few sizes over and over, so freed blocks are kept
// for the next of their size, up to kLargeBytesKept in all; getting a fresh page from the system
// costs more than filling it.  Any thread.
inline constexpr size_t kLargeBytesMin = size_t{4} << 20;
inline constexpr size_t kLargeBytesKept = size_t{128} << 20;

// Uninitialised, aligned to a page.  Throws std::bad_alloc.
void* allocate_large(size_t bytes);
void free_large(void* block, size_t bytes);  // `bytes` as it was asked for

// While one of these lives, so many bytes more are kept: for a program between two rounds of a
// large model.  At its end what is too much is given back to the system.
class KeepLargeBlocks {
 public:
  explicit KeepLargeBlocks(size_t bytes);
  ~KeepLargeBlocks();
  KeepLargeBlocks(const KeepLargeBlocks&) = delete;
  KeepLargeBlocks& operator=(const KeepLargeBlocks&) = delete;

 private:
  const size_t bytes_;
};
// Bytes that are kept at the moment.
size_t large_bytes_kept();

}  // namespace umbel
