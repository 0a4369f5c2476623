#pragma once

#include <optional>

#include "umbel/runner/channel.h"
#include "umbel/wire/content.h"

namespace umbel::runner {

// The bytes of a content's arrays in shared memory; nothing if they travel in the frame.
Result<std::optional<SharedBlob>> shared_blob_of(const RecordDict& content,
                                                 const wire::BlobRef& blob);

// The bytes that a frame's BlobRef stands for: from inside it, or from the descriptor beside it.
// INVALID_ARGUMENT if there is a descriptor too many (but for an empty blob) or too few, or one of
// the wrong kind.
Result<Buffer> attached(const wire::BlobRef& blob, Descriptor descriptor);

}  // namespace umbel::runner
