#pragma once

#include <cstdint>
#include <span>

#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"
#include "umbel/wire/content.h"

namespace umbel::supernode {

// Takes a blob's bytes as they come and puts them, with one copy, into shared memory; the CRC-32 of
// each chunk is checked as it ends.  After a cut, or a wrong chunk, the bytes have to come again
// from offset(), the end of the last good chunk.
class BlobWriter {
 public:
  // INVALID_ARGUMENT unless there is one CRC for each chunk.  RESOURCE_EXHAUSTED without memory.
  static Result<BlobWriter> create(const wire::BlobRef& blob);

  uint64_t offset() const { return good_; }
  bool is_done() const { return good_ == blob_.size(); }
  // The next bytes.  DATA_LOSS that names the chunk if it is not as announced; INVALID_ARGUMENT
  // beyond the end.
  Status take(std::span<const std::byte> bytes);
  // What came after offset() is forgotten.
  void rewind();
  // Sealed; is_done() before.
  Result<SharedBlob> finish() &&;

 private:
  BlobWriter(SharedBlob blob, std::vector<uint32_t> crc32)
      : blob_(std::move(blob)), crc32_(std::move(crc32)) {}
  Status end_chunk();

  SharedBlob blob_;
  std::vector<uint32_t> crc32_;
  uint64_t good_ = 0;  // a chunk's start, or the blob's end
  uint64_t next_ = 0;
  uint32_t crc_ = 0;  // of [good_, next_)
};

}  // namespace umbel::supernode
