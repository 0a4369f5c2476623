#include "umbel/runner/kept_contents.h"

#include <algorithm>

#include "umbel/runner/attach.h"

namespace umbel::runner {

std::shared_ptr<KeptContents::Entry> KeptContents::entry(
    const std::shared_ptr<const RecordDict>& content) {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<Entry>& found = entries_[content.get()];
  if (found && found->of.lock() == content) return found;  // another may have had that address
  found = std::make_shared<Entry>();
  found->of = content;
  const std::shared_ptr<Entry> fresh = found;
  // Those that nobody has any more are dropped whenever there may be as many of them as others.
  if (entries_.size() >= tidy_at_) {
    std::erase_if(entries_, [](const auto& known) { return known.second->of.expired(); });
    tidy_at_ = std::max<size_t>(8, 2 * entries_.size());
  }
  return fresh;
}

Result<std::shared_ptr<const KeptContents::Content>> KeptContents::find(
    const std::shared_ptr<const RecordDict>& content) {
  const std::shared_ptr<Entry> known = entry(content);
  absl::MutexLock lock(&known->mutex);
  if (known->made.ok() && !*known->made) known->made = make(*content);
  return known->made;
}

Result<std::shared_ptr<const KeptContents::Content>> KeptContents::make(const RecordDict& content) {
  UMBEL_RETURN_IF_ERROR(wire::require_sendable(content));
  auto made = std::make_shared<Content>();
  made->head = wire::head_of(content);
  made->blob.size = made->head.blob_size();
  if (made->blob.size <= wire::kInlineBytesMax) made->blob.here = wire::blob_of(content);
  UMBEL_ASSIGN_OR_RETURN(auto shared, shared_blob_of(content, made->blob));
  if (shared) made->shared = *std::move(shared);
  absl::MutexLock lock(&mutex_);
  made->number = ++last_;
  return std::shared_ptr<const Content>(std::move(made));
}

}  // namespace umbel::runner
