#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "umbel/base/buffer.h"
#include "umbel/base/status.h"

namespace umbel {

// A descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return value_; }
  explicit operator bool() const { return value_ >= 0; }
  int release();
  Result<Descriptor> duplicate() const;

 private:
  int value_ = -1;
};

// Bytes in anonymous memory that processes hand each other by descriptor (memfd_create): never a
// file on a disk.  Written by whoever makes it, then sealed: from then on nobody can change or
// shorten it, so that a reader's mapping is safe from whoever else has the descriptor.
class SharedBlob {
 public:
  SharedBlob() = default;
  // RESOURCE_EXHAUSTED if there is no memory for it.
  static Result<SharedBlob> create(uint64_t size);
  // Takes a descriptor from another process.  INVALID_ARGUMENT unless it is memory of this kind, of
  // `size` bytes, and sealed.
  static Result<SharedBlob> adopt(Descriptor descriptor, uint64_t size);

  uint64_t size() const { return size_; }
  int descriptor() const { return descriptor_.get(); }
  explicit operator bool() const { return static_cast<bool>(descriptor_); }

  // Before seal(): by copying in, no mapping needed; any threads, distinct places.
  Status write(uint64_t offset, std::span<const std::byte> bytes);
  Status seal();
  // After seal(): by copying out, or mapped read-only (the buffer outlives this object).
  Status read(uint64_t offset, std::span<std::byte> bytes) const;
  Result<Buffer> map() const;
  // As well, and whoever has the only copy of the buffer may write to it: the kernel copies the
  // pages that are written to, and others see nothing of it.
  Result<Buffer> map_private() const;

 private:
  Result<Buffer> map(int protection, int flags) const;

  Descriptor descriptor_;
  uint64_t size_ = 0;
};

}  // namespace umbel
