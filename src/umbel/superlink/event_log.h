#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"

namespace umbel::superlink {

inline constexpr uint64_t kEventBytesMax = uint64_t{1} << 30;      // of one run's log
inline constexpr uint64_t kChatterBytesMax = uint64_t{256} << 20;  // of it: what apps print and log
inline constexpr size_t kEventBatchBytesMax = size_t{4} << 20;

// A run's events as one file of lines, {"seq": 1, "time-ms": ..., "event": {...}}, and who waits
// for the next.  Any thread.
class EventLog {
 public:
  // Goes on with a file that is there; half a line at its end, left by a crash, is cut off.
  static Result<std::shared_ptr<EventLog>> open(const std::filesystem::path& file);

  // `event` is a JSON object on one line.  Beyond kEventBytesMax events are dropped, after one that
  // says so.  A full disk: the event is dropped, with the Status of the first that was.
  Status append(std::string_view event);
  // The same for what an app prints or logs, of which kChatterBytesMax are kept: it must not push
  // out what the run itself has to say.
  Status append_chatter(std::string_view event);
  uint64_t last() const;

  // Lines after number `after`, up to kEventBatchBytesMax; "" if there are none yet.
  Result<std::string> read(uint64_t after) const;
  // Calls `ready` once, soon, when there is a line after `after` or the log was closed; at once if
  // so already.  Returns a number for cancel(); cancelled waits are not called.
  uint64_t wait(uint64_t after, std::function<void()> ready);
  void cancel(uint64_t wait);
  // No event will follow.
  void close();
  bool closed() const;

 private:
  EventLog() = default;
  Status append_line(std::string_view line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::string path_;
  mutable absl::Mutex mutex_;
  Descriptor file_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint64_t> ends_ ABSL_GUARDED_BY(mutex_);  // where each line ends
  bool full_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t chatter_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  struct Wait {
    uint64_t number, after;
    std::function<void()> ready;
  };
  std::vector<Wait> waits_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_wait_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace umbel::superlink
