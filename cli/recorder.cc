#include "recorder.h"

#include <algorithm>
#include <csignal>

#include "exit_code.h"
#include "lenses.h"
#include "text_format.h"
#include "umbel/base/text.h"

namespace umbel::cli {

namespace {

constexpr auto kFlushEvery = std::chrono::milliseconds(100);
constexpr size_t kLogLinesPending = 5'000;
constexpr uint64_t kOutputBytesMax = uint64_t{64} << 20;  // of what the app prints in a run
constexpr size_t kMessageBytesMax = 16 << 10;
constexpr size_t kCurveRoundsMax = 20'000;

void add_reasons(FailureReasons& total, const FailureReasons& more) {
  for (const auto& [reason, count] : more) {
    const auto same = std::find_if(total.begin(), total.end(), [&name = reason](const auto& entry) {
      return entry.first == name;
    });
    if (same != total.end()) {
      same->second += count;
    } else if (total.size() < 100) {
      total.emplace_back(reason, count);
    }
  }
}

int64_t sum_of(int64_t a, int64_t b) {  // counts from an app are not trusted to stay in range
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

}  // namespace

void RunRecorder::on_event(const Event& event) {
  if (const auto* started = std::get_if<StartedEvent>(&event)) {
    if (started->nodes > 0) run_.nodes = started->nodes;
    if (started->threads > 0) run_.threads = started->threads;
  } else if (const auto* rounds = std::get_if<RoundsEvent>(&event)) {
    run_.rounds_planned = rounds->rounds;
  } else if (const auto* progress = std::get_if<ProgressEvent>(&event)) {
    return progress_.on_progress(run_, *progress);  // not history
  } else if (const auto* round = std::get_if<RoundEvent>(&event)) {
    on_round(*round);
  } else if (const auto* log = std::get_if<LogEvent>(&event)) {
    on_log({0, 0, log->side, log->level, log->node, log->message});
  } else if (const auto* record = std::get_if<RecordEvent>(&event)) {
    note(*record);
  } else if (const auto* artifact = std::get_if<ArtifactEvent>(&event)) {
    update_.artifacts.push_back(*artifact);
  } else if (const auto* finished = std::get_if<FinishedEvent>(&event)) {
    take(*finished);
  } else {
    return;
  }
  changed();
}

void RunRecorder::on_round(const RoundEvent& round) {
  run_.rounds = std::max(run_.rounds, round.round);
  run_.seconds = std::max(round.elapsed, run_.seconds);
  run_.clients = sum_of(run_.clients, round.clients);
  run_.failures = sum_of(run_.failures, round.failures);
  if (round.virtual_time) {
    run_.virtual_seconds = run_.virtual_seconds.value_or(0) + round.virtual_time->seconds;
  }
  add_reasons(run_.failure_reasons, round.failure_reasons);
  if (run_.first_failure.reason.empty() && !round.failure_samples.empty()) {
    run_.first_failure = round.failure_samples.front();
  }
  run_.bytes_down = sum_of(run_.bytes_down, round.bytes_down);
  run_.bytes_up = sum_of(run_.bytes_up, round.bytes_up);
  for (const MetricRecord* metrics : {&round.evaluate, &round.server}) {
    for (const auto& [name, value] : *metrics) run_.metrics.set(name, value);
  }
  update_.rounds.push_back(round);
  keep_for_curve(round);
  progress_.on_round(run_, round);
}

// However many rounds there are, the memory for them is bounded.
void RunRecorder::keep_for_curve(const RoundEvent& round) {
  if (rounds_seen_++ % stride_ != 0) return;
  RoundEvent& kept = curve_rounds_.emplace_back();
  kept.round = round.round;
  kept.seconds = round.seconds;
  kept.virtual_time = round.virtual_time;
  for (const char* name : {"accuracy", "loss"}) {
    if (const auto value = best_metric(round, name)) kept.server.set(name, *value);
  }
  if (curve_rounds_.size() < kCurveRoundsMax) return;
  for (size_t i = 0; i != kCurveRoundsMax / 2; ++i) curve_rounds_[i] = curve_rounds_[2 * i];
  curve_rounds_.resize(kCurveRoundsMax / 2);
  stride_ *= 2;
}

void RunRecorder::note(RecordEvent record) {
  if (is_for_lenses(record.name)) {
    std::erase_if(lens_records_, [&](const RecordEvent& old) { return old.name == record.name; });
    lens_records_.push_back(record);
  }
  update_.records.push_back(std::move(record));
  changed();
}

void RunRecorder::take(const FinishedEvent& finished) {
  run_.rounds = std::max(run_.rounds, finished.rounds);
  if (finished.seconds > 0) run_.seconds = finished.seconds;
  run_.clients = std::max(run_.clients, finished.clients);
  run_.failures = std::max(run_.failures, finished.failures);
  for (const auto& [name, value] : finished.metrics) run_.metrics.set(name, value);
  run_.model_sha256 = finished.model_sha256;
  run_.reason = finished.reason;
}

void RunRecorder::on_output(bool is_error, std::string_view line) {
  if (output_bytes_ > kOutputBytesMax) return;  // told already
  output_bytes_ += line.size() + 1;
  if (output_bytes_ > kOutputBytesMax) {
    is_error = true;
    line = "more than 64 MiB of output: the rest is dropped; context.log() is not";
  }
  on_log({0, 0, "app", is_error ? "error" : "info", -1, std::string(line)});
  changed();
}

void RunRecorder::on_line(const LogLine& line) {
  on_log(line);
  changed();
}

void RunRecorder::on_log(LogLine line) {
  line.sequence = ++log_sequence_;
  if (line.time_ms == 0) line.time_ms = now_milliseconds();
  if (line.message.size() > kMessageBytesMax) {
    const size_t left_out = line.message.size() - kMessageBytesMax;
    line.message.resize(kMessageBytesMax);
    line.message += fmt::format("... ({} more bytes)", left_out);
  }
  run_.log_lines_dropped = std::max<int64_t>(0, log_sequence_ - kLogLinesKept);
  progress_.on_log(line);
  update_.log.push_back(std::move(line));
  if (update_.log.size() >= kLogLinesPending) flush();
}

void RunRecorder::changed() {
  if (!flush_at_) flush_at_ = Clock::now() + kFlushEvery;
}

void RunRecorder::flush() {
  flush_at_.reset();
  RunUpdate update;
  std::swap(update, update_);
  if (!history_status_.ok()) return;
  history_status_ = history_.save(run_, update);
  if (history_status_.ok()) return;
  progress_.say(fmt::format("warning: the history of this run cannot be kept any more: {}",
                            message_of(history_status_)));
}

void RunRecorder::settle(const AppOutcome& outcome) {
  const bool said_so = outcome.finished && outcome.finished->status == "completed";
  if (!outcome.stream.ok() && !outcome.finished) {
    run_.status = "failed";
    run_.error = message_of(outcome.stream);
    run_.exit_code = 1;
  } else if (said_so) {
    run_.status = "completed";
    run_.exit_code = 0;
  } else if (outcome.signal != 0) {
    run_.status = "stopped";
    run_.exit_code = 128 + outcome.signal;
    if (outcome.killed) run_.error = "the app did not end when asked to and was killed";
  } else if (outcome.finished) {
    run_.status = outcome.finished->status;
    run_.error = outcome.finished->error;
    run_.exit_code = run_.status == "failed" && outcome.finished->exit_code == 4 ? 4 : 0;
    if (run_.status == "failed" && run_.exit_code == 0) run_.exit_code = 1;
    if (run_.status == "stopped") {  // by somebody else than us; at a terminal that is Ctrl-C
      run_.exit_code = kSignalBase + (outcome.had_terminal ? SIGINT : SIGTERM);
    }
  } else {
    run_.status = "failed";
    run_.error = "the app's process " + describe_end(outcome.wait_status) +
                 " before it said that it had finished; `umbel log` may say why";
    run_.exit_code = 1;
  }
  if (outcome.finished && outcome.wait_status != 0 && said_so) {
    on_log({0, 0, "app", "warn", -1,
            "after it had finished, the app's process " + describe_end(outcome.wait_status)});
  }
}

void RunRecorder::finish(const Result<AppOutcome>& outcome) {
  if (outcome.ok()) {
    settle(*outcome);
    note(process_record(outcome->cpu_seconds));
  } else {
    run_.status = "failed";
    run_.error = message_of(outcome.status());
    run_.exit_code = 1;
  }
  run_.ended_ms = now_milliseconds();
  write_end();
}

void RunRecorder::finish(const Run& there, int signal) {
  run_.status = there.status;
  run_.error = there.error;
  run_.nodes = std::max(run_.nodes, there.nodes);
  run_.rounds = std::max(run_.rounds, there.rounds);
  run_.exit_code = 0;
  if (run_.status == "stopped") run_.exit_code = kSignalBase + (signal != 0 ? signal : SIGTERM);
  if (run_.status == "failed")
    run_.exit_code =
        there.exit_code == kBadInput || there.exit_code == kTimeout ? there.exit_code : kFailed;
  run_.ended_ms = now_milliseconds();
  write_end();
}

void RunRecorder::leave() {
  run_.status = "detached";
  write_end();
}

void RunRecorder::write_end() {
  if (!history_status_.ok()) {  // at least the result, if there is room again
    history_.save(run_, {}).IgnoreError();
  }
  flush();
}

}  // namespace umbel::cli
