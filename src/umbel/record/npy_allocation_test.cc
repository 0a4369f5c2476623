// Replaces the global operator new of the test program, so that tests can see what was asked for.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "umbel/record/npy_arbitrary_test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UMBEL_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UMBEL_SANITIZED 1
#endif
#endif

namespace {
thread_local size_t largest = 0;
}

namespace umbel {
LargestAllocation::LargestAllocation() { largest = 0; }
size_t LargestAllocation::bytes() const { return largest; }
}  // namespace umbel

#ifndef UMBEL_SANITIZED
namespace {
void* take(size_t bytes, size_t alignment) {
  largest = std::max(largest, bytes);
  if (void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment))
    return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void give(void* memory) { std::free(memory); }
}  // namespace

void* operator new(size_t bytes) { return take(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return take(bytes, std::max(static_cast<size_t>(alignment), alignof(std::max_align_t)));
}
void operator delete(void* memory) noexcept { give(memory); }
void operator delete(void* memory, size_t) noexcept { give(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { give(memory); }

TEST(LargestAllocation, SeesWhatABufferAsksFor) {
  const umbel::LargestAllocation watch;
  const umbel::Buffer buffer = umbel::Buffer::zeros(12'345);
  EXPECT_GE(watch.bytes(), 12'345u);
  EXPECT_LT(watch.bytes(), 13'000u);
}
#endif
