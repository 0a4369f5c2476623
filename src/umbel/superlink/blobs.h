#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "umbel/base/ids.h"
#include "umbel/base/shared_blob.h"

namespace umbel::superlink {

// Contents that nodes fetch, in shared memory as the ServerApps handed them over.  Any thread.
class Blobs {
 public:
  struct Held {
    std::shared_ptr<const Descriptor> file;
    uint64_t size = 0;
  };
  // Takes a sealed blob for the nodes given (their registration numbers); returns its id.
  Result<uint64_t> put(const SharedBlob& blob, std::set<uint64_t> readers);
  std::optional<Held> get(uint64_t id, uint64_t reader) const;
  void drop(uint64_t id);  // it is gone when those who read it at the moment are done

 private:
  struct Entry {
    Held held;
    std::set<uint64_t> readers;
  };
  mutable absl::Mutex mutex_;
  std::map<uint64_t, Entry> blobs_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace umbel::superlink
