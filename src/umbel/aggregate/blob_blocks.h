#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "umbel/aggregate/layout_sum.h"
#include "umbel/base/buffer.h"
#include "umbel/base/status.h"

namespace umbel::aggregate {

// Where the blocks of a layout start in a blob (record/layout.h).
class BlobCursor {
 public:
  // Of block b, which is none before the one of the last call.
  size_t start(const LayoutSum& sum, size_t b);

 private:
  size_t array_ = 0;
  size_t array_start_ = 0;
};

// Finds the blocks of a layout in the bytes of a blob that come in pieces of any size.  Keeps what
// a block has so far where a piece ends inside it: at most one block.
class BlobCutter {
 public:
  // `sum` must outlive this.
  explicit BlobCutter(const LayoutSum& sum);
  // For blobs in which nothing is looked for.
  explicit BlobCutter(size_t bytes) : bytes_expected_(bytes) {}

  // The next bytes: calls take(block, its elements, aligned for their type) for each block that is
  // complete with them.  Fails where `take` does; no cut() may follow.  INVALID_ARGUMENT for more
  // bytes than the blob has, before any is looked at.
  using Take = std::function<Status(size_t, const std::byte*)>;
  Status cut(std::span<const std::byte> bytes, const Take& take);

  size_t bytes() const { return bytes_; }
  size_t bytes_expected() const { return bytes_expected_; }
  bool done() const { return bytes_ == bytes_expected_; }

 private:
  size_t cut_some(std::span<const std::byte> bytes, const Take& take, Status& status);
  void find_block();

  const LayoutSum* sum_ = nullptr;
  BlobCursor cursor_;
  size_t bytes_expected_ = 0;
  size_t bytes_ = 0;  // so far
  size_t block_ = 0;  // the one under way or to come
  size_t block_start_ = SIZE_MAX;
  size_t block_bytes_ = 0;
  Buffer part_;  // of it, as long as it is not complete
};

// Puts a blob together in pieces of up to `bytes_max`, from the means of its blocks in their order.
class BlobWriter {
 public:
  using Take = std::function<Status(std::span<const std::byte>)>;
  // `bytes_max` has room for two blocks; `take` must outlive this.
  BlobWriter(size_t bytes_max, const Take& take);
  // Where the bytes of block b go, until the next call.
  Result<std::byte*> place(const LayoutSum& sum, size_t b);
  // Zeros up to `size`, the blob's.
  Status end(size_t size);

 private:
  void pad_to(size_t offset);
  Status flush();

  BlobCursor cursor_;
  Buffer piece_;
  size_t used_ = 0;     // of the piece
  size_t written_ = 0;  // of the blob, with what is in the piece
  const Take& take_;
};

}  // namespace umbel::aggregate
