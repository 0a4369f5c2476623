#include "umbel/base/buffer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>

#include "umbel/base/check.h"
#include "umbel/base/large_blocks.h"

namespace umbel {

namespace {
constexpr size_t kAlignment = 64;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kLargeMin = SIZE_MAX;  // the sanitizers watch the usual allocator
#else
constexpr size_t kLargeMin = kLargeBytesMin;
#endif
}  // namespace

// Owned bytes follow the block in the same allocation; foreign bytes are given back by `release`.
struct alignas(kAlignment) Buffer::Block {
  std::atomic<size_t> references{1};
  std::function<void()> release;
  size_t bytes = 0;  // of the allocation, this header included
};

Buffer::Buffer(const Buffer& other) : Buffer(other.block_, other.data_, other.size_) {
  if (block_) block_->references.fetch_add(1, std::memory_order_relaxed);
}

Buffer::Buffer(Buffer&& other) noexcept
    : block_(std::exchange(other.block_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer other) noexcept {
  std::swap(block_, other.block_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Buffer::~Buffer() {
  if (!block_ || block_->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (block_->release) block_->release();
  const size_t bytes = block_->bytes;
  block_->~Block();
  if (bytes >= kLargeMin) {
    free_large(block_, bytes);
  } else {
    ::operator delete(block_, std::align_val_t(kAlignment));
  }
}

Buffer Buffer::allocate(size_t bytes) {
  UMBEL_CHECK(bytes <= SIZE_MAX / 2);
  const size_t whole = sizeof(Block) + bytes;
  void* memory = whole >= kLargeMin ? allocate_large(whole)
                                    : ::operator new(whole, std::align_val_t(kAlignment));
  auto* block = new (memory) Block;
  block->bytes = whole;
  return Buffer(block, reinterpret_cast<std::byte*>(block + 1), bytes);
}

Buffer Buffer::zeros(size_t bytes) {
  Buffer buffer = allocate(bytes);
  if (bytes) std::memset(const_cast<std::byte*>(buffer.data_), 0, bytes);
  return buffer;
}

Buffer Buffer::copy_of(std::span<const std::byte> bytes) {
  Buffer buffer = allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(const_cast<std::byte*>(buffer.data_), bytes.data(), bytes.size());
  return buffer;
}

Buffer Buffer::adopt(std::span<const std::byte> bytes, std::function<void()> release) {
  void* memory = ::operator new(sizeof(Block), std::align_val_t(kAlignment));
  auto* block = new (memory) Block;
  block->release = release ? std::move(release) : [] {};
  return Buffer(block, bytes.data(), bytes.size());
}

Result<Buffer> Buffer::map_file(const std::string& path) {
  // Not blocking: a pipe would otherwise hold us here until somebody writes into it.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return not_found("{}: cannot open: {}", path, std::strerror(errno));
  struct stat info {};
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(descriptor);
    return invalid_argument("{}: not a regular file", path);
  }
  const auto bytes = static_cast<size_t>(info.st_size);
  if (bytes == 0) {
    ::close(descriptor);
    return Buffer();
  }
  void* memory = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int error = errno;
  ::close(descriptor);
  if (memory == MAP_FAILED) return unavailable("{}: cannot map: {}", path, std::strerror(error));
  return adopt({static_cast<const std::byte*>(memory), bytes},
               [memory, bytes] { ::munmap(memory, bytes); });
}

Buffer Buffer::slice(size_t offset, size_t bytes) const {
  UMBEL_CHECK(offset <= size_ && bytes <= size_ - offset);
  Buffer part(*this);
  part.data_ += offset;
  part.size_ = bytes;
  return part;
}

bool Buffer::sole_owner() const {
  return block_ && !block_->release && block_->references.load(std::memory_order_acquire) == 1;
}

std::span<std::byte> Buffer::mutable_bytes() {
  if (size_ != 0 && !sole_owner()) *this = clone();
  return {const_cast<std::byte*>(data_), size_};
}

bool operator==(const Buffer& a, const Buffer& b) {
  return a.size_ == b.size_ &&
         (a.data_ == b.data_ || a.size_ == 0 || std::memcmp(a.data_, b.data_, a.size_) == 0);
}

}  // namespace umbel
