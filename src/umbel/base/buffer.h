#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "umbel/base/status.h"

namespace umbel {

// Reference-counted bytes that do not change while they are shared.  Copying a Buffer copies a
// pointer; a deep copy is spelt clone().  Memory made here starts at a multiple of 64 bytes, so a
// vectorised loop over it takes the same path, and gives the same bits, every time.
//
// Threads: distinct Buffer objects may be used from distinct threads even where they share bytes.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer& other);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer other) noexcept;
  ~Buffer();

  // Uninitialised memory, solely owned: fill it through mutable_data() before sharing it.
  static Buffer allocate(size_t bytes);
  static Buffer zeros(size_t bytes);
  static Buffer copy_of(std::span<const std::byte> bytes);
  // Wraps foreign memory; `release` runs when the last reference goes.
  static Buffer adopt(std::span<const std::byte> bytes, std::function<void()> release);
  // The whole file mapped read-only.  The file must not shrink while the buffer lives.
  static Result<Buffer> map_file(const std::string& path);

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  // A part of the same bytes; shares ownership.  Requires offset + bytes <= size().
  Buffer slice(size_t offset, size_t bytes) const;
  Buffer clone() const { return copy_of(bytes()); }

  // True when no other Buffer shares these bytes and they were made here.
  bool sole_owner() const;
  // Writable view of the bytes, after a copy if they are shared (copy on write).
  std::span<std::byte> mutable_bytes();

  friend bool operator==(const Buffer& a, const Buffer& b);

 private:
  struct Block;
  Buffer(Block* block, const std::byte* data, size_t size)
      : block_(block), data_(data), size_(size) {}

  Block* block_ = nullptr;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace umbel
