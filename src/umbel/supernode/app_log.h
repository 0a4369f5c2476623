#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"

namespace umbel::supernode {

// The log of a run's processes on this node: STATE/logs/run-ID.log, for the node's owner alone
// (mode 0600).  A file of more than kBytesMax becomes run-ID.log.1, in place of an older one; so a
// run takes at most twice that.  Any threads.
class AppLog {
 public:
  static constexpr uint64_t kBytesMax = uint64_t{16} << 20;

  static Result<std::unique_ptr<AppLog>> open(const std::filesystem::path& path,
                                              uint64_t bytes_max = kBytesMax);
  // One line, with the time and `what` ("app", "app error", "info", ...) in front; control
  // characters are escaped.  A line that cannot be written is lost.
  void write(std::string_view what, std::string_view line);

 private:
  AppLog(std::filesystem::path path, uint64_t bytes_max, Descriptor file, uint64_t size)
      : path_(std::move(path)), bytes_max_(bytes_max), file_(std::move(file)), size_(size) {}
  void rotate() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::filesystem::path path_;
  const uint64_t bytes_max_;
  absl::Mutex mutex_;
  Descriptor file_ ABSL_GUARDED_BY(mutex_);
  uint64_t size_ ABSL_GUARDED_BY(mutex_);
};

// Deletes the logs of all but the latest `runs` runs.
void prune_logs(const std::filesystem::path& folder, size_t runs);

}  // namespace umbel::supernode
