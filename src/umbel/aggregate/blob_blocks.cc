#include "umbel/aggregate/blob_blocks.h"

#include <algorithm>
#include <cstring>

#include "umbel/base/check.h"

namespace umbel::aggregate {

size_t BlobCursor::start(const LayoutSum& sum, size_t b) {
  const Layout& layout = sum.layout();
  for (; array_ != sum.block(b).array; ++array_) {
    array_start_ = next_in_blob(array_start_ + layout[array_].byte_size());
  }
  return array_start_ + sum.offset(b);
}

BlobCutter::BlobCutter(const LayoutSum& sum)
    : sum_(&sum), bytes_expected_(blob_size(sum.layout())) {
  find_block();
}

void BlobCutter::find_block() {
  if (block_ == sum_->size()) {
    block_start_ = SIZE_MAX;
    return;
  }
  block_start_ = cursor_.start(*sum_, block_);
  block_bytes_ = sum_->byte_size(block_);
}

// Up to the end of the padding, of the block or of the bytes; returns how many were used.
size_t BlobCutter::cut_some(std::span<const std::byte> bytes, const Take& take, Status& status) {
  if (bytes_ < block_start_) return std::min(bytes.size(), block_start_ - bytes_);
  const size_t have = bytes_ - block_start_;
  const size_t count = std::min(bytes.size(), block_bytes_ - have);
  const bool aligned =
      reinterpret_cast<uintptr_t>(bytes.data()) % alignment_of(sum_->dtype(block_)) == 0;
  const std::byte* whole = bytes.data();
  if (count != block_bytes_ || !aligned) {
    if (part_.size() < block_bytes_) part_ = Buffer::allocate(block_bytes_);
    std::memcpy(part_.mutable_bytes().data() + have, bytes.data(), count);
    whole = part_.data();
  }
  if (have + count == block_bytes_) {
    status = take(block_++, whole);
    find_block();
  }
  return count;
}

Status BlobCutter::cut(std::span<const std::byte> bytes, const Take& take) {
  if (bytes.size() > bytes_expected_ - bytes_) {
    return invalid_argument("the reply's arrays have over {} bytes, expected {}",
                            bytes_ + bytes.size() - 1, bytes_expected_);
  }
  Status status;
  while (!bytes.empty() && status.ok()) {
    const size_t used = cut_some(bytes, take, status);
    bytes_ += used;
    bytes = bytes.subspan(used);
  }
  return status;
}

BlobWriter::BlobWriter(size_t bytes_max, const Take& take)
    : piece_(Buffer::allocate(bytes_max)), take_(take) {}

// Blocks start at multiples of 64 bytes; so do the pieces, since they are cut before blocks.
Result<std::byte*> BlobWriter::place(const LayoutSum& sum, size_t b) {
  pad_to(cursor_.start(sum, b));
  const size_t bytes = sum.byte_size(b);
  if (used_ + bytes + kBlobAlignment > piece_.size()) UMBEL_RETURN_IF_ERROR(flush());
  std::byte* place = piece_.mutable_bytes().data() + used_;
  used_ += bytes;
  written_ += bytes;
  return place;
}

void BlobWriter::pad_to(size_t offset) {
  const size_t padding = offset - written_;
  UMBEL_CHECK(padding < kBlobAlignment && padding <= piece_.size() - used_);
  std::memset(piece_.mutable_bytes().data() + used_, 0, padding);
  used_ += padding;
  written_ = offset;
}

Status BlobWriter::end(size_t size) {
  pad_to(size);
  return flush();
}

Status BlobWriter::flush() {
  if (used_ == 0) return absl::OkStatus();
  const Status status = take_(piece_.bytes().first(used_));
  used_ = 0;
  return status;
}

}  // namespace umbel::aggregate
