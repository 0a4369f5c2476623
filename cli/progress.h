#pragma once

#include <chrono>
#include <string>

#include "history.h"
#include "output.h"

namespace umbel::cli {

// Shows a run while it goes on.  Where standard error is a terminal: one live line there, and round
// lines at most five a second; elsewhere one plain line a round.  What people read in the end goes
// to output.stream(); nothing here can make a run fail.
class Progress {
 public:
  // Without `may_draw`: plain lines on a terminal too.
  Progress(const Output& output, bool stream_log, bool may_draw = true);
  // Shows nothing at all.
  struct Quiet {};
  Progress(const Output& output, Quiet)
      : output_(output), stream_log_(false), live_(false), quiet_(true) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;

  void on_progress(const Run& run, const ProgressEvent& progress);
  void on_round(const Run& run, const RoundEvent& round);
  void on_log(const LogLine& line);
  // A line in between, such as a warning.
  void say(std::string_view text);
  // Takes the live line away, shows the last round if it was left out.
  void end();

 private:
  using Clock = std::chrono::steady_clock;
  void clear();
  void show_live(const Run& run);
  std::string live_text(const Run& run) const;

  const Output& output_;
  bool stream_log_, live_;
  bool quiet_ = false, shown_ = false;
  Clock::time_point last_live_, last_round_;
  std::string held_back_;  // the last round's line, if it came too soon to be shown
  ProgressEvent progress_;
  RoundEvent last_;
};

// `round 3/20 loss 0.512 accuracy 0.834 clients 100 (2 failed) 2,310 clients/s 0.04s`
std::string round_line(const Run& run, const RoundEvent& round);
// `[client 12] warn: message` as `umbel log` and --stream show it; further lines are indented.
std::string log_text(const LogLine& line);

// A round's number of that name: the server's evaluation, else the clients', else from training.
std::optional<double> best_metric(const RoundEvent& round, std::string_view name);

}  // namespace umbel::cli
