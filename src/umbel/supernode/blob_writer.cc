#include "umbel/supernode/blob_writer.h"

#include <libdeflate.h>

#include <algorithm>
#include <utility>

#include "umbel/base/check.h"

namespace umbel::supernode {

Result<BlobWriter> BlobWriter::create(const wire::BlobRef& ref) {
  const uint64_t chunks = ref.size / wire::kChunkBytes + (ref.size % wire::kChunkBytes != 0);
  if (ref.size > wire::kBlobBytesMax || ref.crc32.size() != chunks) {
    return invalid_argument("blob {}: {} checksums for {} bytes, expected {}", ref.id,
                            ref.crc32.size(), ref.size, chunks);
  }
  UMBEL_ASSIGN_OR_RETURN(SharedBlob blob, SharedBlob::create(ref.size));
  return BlobWriter(std::move(blob), ref.crc32);
}

void BlobWriter::rewind() {
  next_ = good_;
  crc_ = 0;
}

Status BlobWriter::end_chunk() {
  const uint64_t chunk = good_ / wire::kChunkBytes;
  if (crc_ != crc32_[chunk]) {
    const Status status = data_loss("chunk {} of {}: its CRC-32 is {:08x}, {:08x} was announced",
                                    chunk, crc32_.size(), crc_, crc32_[chunk]);
    rewind();
    return status;
  }
  good_ = next_;
  crc_ = 0;
  return absl::OkStatus();
}

Status BlobWriter::take(std::span<const std::byte> bytes) {
  if (bytes.size() > blob_.size() - next_) {
    return invalid_argument("blob: more came than its {} bytes", blob_.size());
  }
  while (!bytes.empty()) {
    const uint64_t end = std::min<uint64_t>(good_ + wire::kChunkBytes, blob_.size());
    const auto part = bytes.first(std::min<uint64_t>(bytes.size(), end - next_));
    UMBEL_RETURN_IF_ERROR(blob_.write(next_, part));
    crc_ = libdeflate_crc32(crc_, part.data(), part.size());
    next_ += part.size();
    bytes = bytes.subspan(part.size());
    if (next_ == end) UMBEL_RETURN_IF_ERROR(end_chunk());
  }
  return absl::OkStatus();
}

Result<SharedBlob> BlobWriter::finish() && {
  UMBEL_CHECK(is_done());
  UMBEL_RETURN_IF_ERROR(blob_.seal());
  return std::move(blob_);
}

}  // namespace umbel::supernode
