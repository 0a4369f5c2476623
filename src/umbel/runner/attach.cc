#include "umbel/runner/attach.h"

namespace umbel::runner {

Result<std::optional<SharedBlob>> shared_blob_of(const RecordDict& content,
                                                 const wire::BlobRef& blob) {
  if (blob.is_here()) return std::optional<SharedBlob>();
  UMBEL_ASSIGN_OR_RETURN(SharedBlob shared, SharedBlob::create(blob.size));
  uint64_t at = 0;
  UMBEL_RETURN_IF_ERROR(wire::for_each_piece(content, [&](std::span<const std::byte> piece) {
    const uint64_t offset = std::exchange(at, at + piece.size());
    return shared.write(offset, piece);
  }));
  UMBEL_RETURN_IF_ERROR(shared.seal());
  return std::optional(std::move(shared));
}

Result<Buffer> attached(const wire::BlobRef& blob, Descriptor descriptor) {
  if (blob.size == 0) return Buffer();
  if (blob.is_here() == static_cast<bool>(descriptor)) {
    return invalid_argument("a blob of {} bytes {} memory beside it", blob.size,
                            descriptor ? "in its frame has" : "that is not in its frame lacks");
  }
  if (blob.is_here()) return blob.here;
  UMBEL_ASSIGN_OR_RETURN(const SharedBlob shared,
                         SharedBlob::adopt(std::move(descriptor), blob.size));
  return shared.map();
}

}  // namespace umbel::runner
