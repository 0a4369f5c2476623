#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "child.h"
#include "event.h"
#include "signal_watch.h"

namespace umbel::cli {

// Who hears of an app process, on the thread that supervises it.
class AppListener {
 public:
  using Clock = std::chrono::steady_clock;
  virtual ~AppListener() = default;
  virtual void on_event(const Event& event) = 0;
  // One line of its standard output or error; long lines come in pieces.
  virtual void on_output(bool is_error, std::string_view line) = 0;
  // When on_deadline() is to be called next; none: not until something else happens.
  virtual std::optional<Clock::time_point> deadline() const = 0;
  virtual void on_deadline() = 0;
};

struct AppOutcome {
  std::optional<FinishedEvent> finished;
  Status stream;        // the first event that was not as docs/app-process.md says
  int wait_status = 0;  // describe_end() says it in words
  int signal = 0;       // the first signal that asked us to stop
  bool killed = false;  // it did not end in time after SIGTERM
  double cpu_seconds = 0;
  bool had_terminal = false;  // so that a signal from there was the app's, not ours
};

// Runs an app process to its end.  A signal to us becomes SIGTERM to its group; if that has not
// ended it after five seconds, or at a second signal, SIGKILL.  So it goes for a malformed event
// too, and for a process that lingers ten seconds after it said "finished".
Result<AppOutcome> supervise(const ChildCommand& command, SignalWatch& signals,
                             AppListener& listener);

// Runs a program to its end; CANCELLED if a signal came meanwhile.  The value is the wait status.
Result<int> run_to_end(const ChildCommand& command, SignalWatch& signals);

}  // namespace umbel::cli
