#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"
#include "umbel/record/record.h"
#include "umbel/wire/content.h"

namespace umbel::runner {

// Contents as they go to processes on this machine: the bytes of each once in memory that all of
// them share, whoever gets it, for as long as it is in use.  Any threads.
class KeptContents {
 public:
  struct Content {
    uint64_t number = 0;  // not used for another content; from 1
    wire::ContentHead head;
    wire::BlobRef blob;
    SharedBlob shared;  // if the blob is not in the frame
  };
  // The content in this form; made the first time.  INVALID_ARGUMENT if it cannot travel,
  // RESOURCE_EXHAUSTED if there is no memory for it.
  Result<std::shared_ptr<const Content>> find(const std::shared_ptr<const RecordDict>& content);

 private:
  // Made by one thread, while the others wait.
  struct Entry {
    std::weak_ptr<const RecordDict> of;
    absl::Mutex mutex;
    Result<std::shared_ptr<const Content>> made ABSL_GUARDED_BY(mutex) =
        std::shared_ptr<const Content>();
  };
  std::shared_ptr<Entry> entry(const std::shared_ptr<const RecordDict>& content);
  Result<std::shared_ptr<const Content>> make(const RecordDict& content);

  absl::Mutex mutex_;
  std::unordered_map<const RecordDict*, std::shared_ptr<Entry>> entries_ ABSL_GUARDED_BY(mutex_);
  size_t tidy_at_ ABSL_GUARDED_BY(mutex_) = 8;
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace umbel::runner
