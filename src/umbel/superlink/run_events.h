#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "umbel/superlink/event_log.h"

namespace umbel::superlink {

// How a ServerApp said that its run ended.
struct RunFinished {
  std::string status;  // completed, failed, stopped
  std::string error;
  int64_t exit_code = 0;
};

// Takes the events of a run's ServerApp, keeps them in the run's log, and knows how far the run is.
// A ServerApp that was started again repeats rounds that are in the log already: they are kept
// once. Any thread.
class RunEvents {
 public:
  explicit RunEvents(std::shared_ptr<EventLog> log) : log_(std::move(log)) {}
  // Reads the log of a run that goes on after a restart of the hub.
  Status catch_up();

  // One line of the ServerApp.  INVALID_ARGUMENT if it is not a JSON object with an "event".
  Status event(std::string_view line);
  // A line that the ServerApp printed.
  void output(bool is_error, std::string_view line);
  // A line of the log; `side` is server or client, `node` the run's number of a client.
  void log(std::string_view side, std::string_view level, std::optional<uint64_t> node,
           std::string_view message);
  // Ends the log as a ServerApp does that could not do so itself.
  void finish(const RunFinished& finished);

  // How long replies took that were folded: told as the record "delivery" when the run ends.
  void delivered(std::span<const double> seconds);

  uint64_t rounds() const;
  uint64_t rounds_planned() const;
  std::optional<RunFinished> finished() const;

 private:
  Status take(std::string_view line, bool keep);
  std::string delivery() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void append(const std::string& line, bool chatter = false);

  std::shared_ptr<EventLog> log_;
  mutable absl::Mutex mutex_;
  uint64_t rounds_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t planned_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t last_round_ ABSL_GUARDED_BY(mutex_) = 0;
  bool any_round_ ABSL_GUARDED_BY(mutex_) = false;
  double seconds_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t clients_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t failures_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<RunFinished> finished_ ABSL_GUARDED_BY(mutex_);
  std::vector<double> reply_seconds_ ABSL_GUARDED_BY(mutex_);  // the last kRepliesKept
  uint64_t replies_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace umbel::superlink
