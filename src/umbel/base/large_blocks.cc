#include "umbel/base/large_blocks.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <sys/mman.h>

#include <deque>
#include <new>

namespace umbel {

namespace {

constexpr size_t kPage = size_t{2} << 20;

size_t whole_pages(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

// Freed blocks, the longest unused first.  Never destroyed: buffers may outlive every static.
struct Kept {
  struct Block {
    void* memory;
    size_t bytes;
  };
  absl::Mutex mutex;
  std::deque<Block> blocks ABSL_GUARDED_BY(mutex);
  size_t bytes ABSL_GUARDED_BY(mutex) = 0;
  size_t bytes_max ABSL_GUARDED_BY(mutex) = kLargeBytesKept;

  void trim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    while (bytes > bytes_max) {
      ::munmap(blocks.front().memory, blocks.front().bytes);
      bytes -= blocks.front().bytes;
      blocks.pop_front();
    }
  }
};
Kept& kept() {
  static Kept& all = *new Kept;
  return all;
}

}  // namespace

void* allocate_large(size_t bytes) {
  bytes = whole_pages(bytes);
  Kept& all = kept();
  {
    absl::MutexLock lock(&all.mutex);
    for (auto block = all.blocks.rbegin(); block != all.blocks.rend(); ++block) {
      if (block->bytes != bytes) continue;
      void* memory = block->memory;
      all.blocks.erase(std::next(block).base());
      all.bytes -= bytes;
      return memory;
    }
  }
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  ::madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

void free_large(void* block, size_t bytes) {
  bytes = whole_pages(bytes);
  Kept& all = kept();
  absl::MutexLock lock(&all.mutex);
  all.blocks.push_back({block, bytes});
  all.bytes += bytes;
  all.trim();
}

KeepLargeBlocks::KeepLargeBlocks(size_t bytes) : bytes_(bytes) {
  Kept& all = kept();
  absl::MutexLock lock(&all.mutex);
  all.bytes_max += bytes_;
}

KeepLargeBlocks::~KeepLargeBlocks() {
  Kept& all = kept();
  absl::MutexLock lock(&all.mutex);
  all.bytes_max -= bytes_;
  all.trim();
}

size_t large_bytes_kept() {
  Kept& all = kept();
  absl::MutexLock lock(&all.mutex);
  return all.bytes;
}

}  // namespace umbel
