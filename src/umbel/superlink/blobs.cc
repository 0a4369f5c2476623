#include "umbel/superlink/blobs.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace umbel::superlink {

Result<uint64_t> Blobs::put(const SharedBlob& blob, std::set<uint64_t> readers) {
  const int copy = ::fcntl(blob.descriptor(), F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return resource_exhausted("a model cannot be kept: {}", std::strerror(errno));
  auto file = std::make_shared<const Descriptor>(copy);
  absl::MutexLock lock(&mutex_);
  blobs_[next_] = {{std::move(file), blob.size()}, std::move(readers)};
  return next_++;
}

std::optional<Blobs::Held> Blobs::get(uint64_t id, uint64_t reader) const {
  absl::MutexLock lock(&mutex_);
  const auto found = blobs_.find(id);
  if (found == blobs_.end() || !found->second.readers.contains(reader)) return std::nullopt;
  return found->second.held;
}

void Blobs::drop(uint64_t id) {
  absl::MutexLock lock(&mutex_);
  blobs_.erase(id);
}

}  // namespace umbel::superlink
