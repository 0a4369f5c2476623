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

}  // namespace umbel
