#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"

namespace umbel::superlink {

// Who did what, when, and whether it was allowed: a file of lines, each with the SHA-256 of itself
// and the line before, so that an edit, a deletion or a swap is found.  Any thread.
//
//   {"seq":1,"time":"2026-11-22T10:00:00Z","actor":"account ada","action":"start run","object":"7",
//    "outcome":"ok","previous":"<64 digits>","hash":"<64 digits>"}
//
// "hash" is that of the line up to and without `,"hash"`, and `}`.
class AuditLog {
 public:
  // DATA_LOSS that names the first bad line of a file that is there.
  static Result<std::unique_ptr<AuditLog>> open(const std::filesystem::path& file);
  // Synced to disk before it returns.
  Status add(std::string_view actor, std::string_view action, std::string_view object,
             std::string_view outcome);
  // A refusal, which anybody can cause: of these only kRefusalsMax an hour are kept.
  static constexpr int kRefusalsMax = 100;
  Status add_refusal(std::string_view actor, std::string_view action, std::string_view object,
                     std::string_view outcome);
  // The lines after number `after`, up to 4 MiB.
  Result<std::string> read(uint64_t after) const;

  // How many lines `text` has; DATA_LOSS names the first one that breaks the chain.
  static Result<uint64_t> verify(std::string_view text, std::string* last_hash);

 private:
  AuditLog() = default;
  mutable absl::Mutex mutex_;
  std::string path_;
  Descriptor file_ ABSL_GUARDED_BY(mutex_);
  uint64_t lines_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string last_hash_ ABSL_GUARDED_BY(mutex_);
  int64_t hour_ ABSL_GUARDED_BY(mutex_) = 0;
  int refusals_ ABSL_GUARDED_BY(mutex_) = 0;  // in this hour
};

}  // namespace umbel::superlink
