#pragma once

#include <optional>

#include "app_process.h"
#include "history.h"
#include "progress.h"

namespace umbel::cli {

// Follows an app process: keeps the Run's figures, shows progress, and writes history in short
// transactions, at most ten a second however fast the rounds are.  If history cannot be written
// (the disk is full) it says so once and goes on without: the run is worth more than its record.
class RunRecorder final : public AppListener {
 public:
  RunRecorder(History& history, Run& run, Progress& progress)
      : history_(history), run_(run), progress_(progress) {}

  void on_event(const Event& event) override;
  void on_output(bool is_error, std::string_view line) override;
  std::optional<Clock::time_point> deadline() const override { return flush_at_; }
  void on_deadline() override { flush(); }

  // Settles status, error and exit code from how the process ended, and writes the rest.
  void finish(const Result<AppOutcome>& outcome);

  // The same for a run at a hub: from what the hub says became of it, and the signal (or 0) for
  // which we asked it to stop.
  void finish(const Run& there, int signal);
  // The run goes on at its hub without us.
  void leave();
  // A record of our own.
  void note(RecordEvent record);
  // A line of a log that has its time.
  void on_line(const LogLine& line);

  // What the curve at the end is drawn from, and the lenses are made from.
  const std::vector<RoundEvent>& curve_rounds() const { return curve_rounds_; }
  const std::vector<RecordEvent>& lens_records() const { return lens_records_; }
  // The first failure to write history.
  const Status& history_status() const { return history_status_; }

 private:
  void on_round(const RoundEvent& round);
  void keep_for_curve(const RoundEvent& round);
  void on_log(LogLine line);
  void settle(const AppOutcome& outcome);
  void take(const FinishedEvent& finished);
  void changed();
  void write_end();
  void flush();

  History& history_;
  Run& run_;
  Progress& progress_;
  RunUpdate update_;
  // Loss, accuracy and seconds of every `stride_`th round.
  std::vector<RoundEvent> curve_rounds_;
  std::vector<RecordEvent> lens_records_;  // one of each name
  int64_t rounds_seen_ = 0, stride_ = 1;
  int64_t log_sequence_ = 0;
  uint64_t output_bytes_ = 0;
  std::optional<Clock::time_point> flush_at_;
  Status history_status_;
};

}  // namespace umbel::cli
