#include "progress.h"

#include <algorithm>

#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr auto kRoundEvery = std::chrono::milliseconds(200);
constexpr auto kLiveEvery = std::chrono::milliseconds(100);
constexpr int kBarCells = 10;

double clients_per_second(const RoundEvent& round) {
  return round.seconds > 0 ? static_cast<double>(round.clients) / round.seconds : 0;
}

std::string metrics_part(const RoundEvent& round) {
  std::string text;
  for (const char* name : {"loss", "accuracy"}) {
    if (const auto value = best_metric(round, name)) {
      text += fmt::format(" {} {}", name, metric_text(*value));
    }
  }
  return text;
}

std::string of_rounds(int64_t round, int64_t planned) {
  return planned > 0 ? fmt::format("{}/{}", round, planned) : std::to_string(round);
}

std::string bar(double part) {
  const int full = static_cast<int>(std::clamp(part, 0.0, 1.0) * kBarCells + 0.5);
  return "[" + std::string(static_cast<size_t>(full), '#') +
         std::string(static_cast<size_t>(kBarCells - full), '-') + "]";
}

}  // namespace

std::optional<double> best_metric(const RoundEvent& round, std::string_view name) {
  for (const MetricRecord* metrics : {&round.server, &round.evaluate, &round.train}) {
    if (const auto value = find_real(*metrics, name)) return value;
  }
  return std::nullopt;
}

std::string round_line(const Run& run, const RoundEvent& round) {
  std::string text = "round " + of_rounds(round.round, run.rounds_planned) + metrics_part(round);
  text += " clients " + count_text(round.clients);
  if (round.failures > 0) text += fmt::format(" ({} failed)", count_text(round.failures));
  if (const double rate = clients_per_second(round); rate > 0) {
    text += fmt::format(" {} clients/s", count_text(static_cast<int64_t>(std::min(rate, 1e15))));
  }
  text += " " + seconds_text(round.seconds);
  if (round.virtual_time) {
    text += fmt::format(" ({} virtual)", seconds_text(round.virtual_time->seconds));
  }
  if (!round.note.empty()) text += " " + terminal_safe(round.note);
  return text;
}

std::string log_text(const LogLine& line) {
  std::string who = line.side;
  if (line.node >= 0) who += " " + std::to_string(line.node);
  // What an app writes to standard error is not an error for that.
  const bool is_stderr = line.side == "app" && line.level == "error";
  if (is_stderr) who += " err";
  const std::string level = line.level == "info" || is_stderr ? "" : line.level + ": ";
  std::string text = fmt::format("[{}] {}", who, level);
  const std::string_view message(line.message);
  for (size_t at = 0; at <= message.size();) {  // a traceback is many lines
    const size_t end = std::min(message.find('\n', at), message.size());
    if (at != 0 && at == message.size()) break;
    text += (at == 0 ? "" : "\n  ") + terminal_safe(message.substr(at, end - at));
    at = end + 1;
  }
  return text;
}

Progress::Progress(const Output& output, bool stream_log, bool may_draw)
    : output_(output), stream_log_(stream_log), live_(may_draw && is_terminal(stderr)) {}

void Progress::on_progress(const Run& run, const ProgressEvent& progress) {
  progress_ = progress;
  show_live(run);
}

void Progress::on_round(const Run& run, const RoundEvent& round) {
  last_ = round;
  const std::string line = round_line(run, round);
  const auto now = Clock::now();
  if (live_ && now - last_round_ < kRoundEvery) {
    held_back_ = line;
  } else {
    held_back_.clear();
    last_round_ = now;
    say(line);
  }
  show_live(run);
}

void Progress::on_log(const LogLine& line) {
  if (stream_log_) say(log_text(line));
}

void Progress::say(std::string_view text) {
  if (quiet_) return;
  clear();
  output_.say(text);
}

void Progress::end() {
  clear();
  if (!held_back_.empty()) output_.say(held_back_);
  held_back_.clear();
}

void Progress::clear() {
  if (!shown_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

void Progress::show_live(const Run& run) {
  const auto now = Clock::now();
  if (!live_ || (shown_ && now - last_live_ < kLiveEvery)) return;
  last_live_ = now;
  const auto columns = static_cast<size_t>(terminal_columns(stderr) - 1);
  const std::string line = "\r" + live_text(run).substr(0, columns) + "\x1b[K";
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
  shown_ = true;
}

std::string Progress::live_text(const Run& run) const {
  const bool within = progress_.round > last_.round && progress_.total > 0;
  const double part = within ? std::min(1.0, static_cast<double>(progress_.done) /
                                                 static_cast<double>(progress_.total))
                             : 0;
  const double done = static_cast<double>(last_.round) + part;
  std::string text =
      "round " + of_rounds(within ? progress_.round : last_.round, run.rounds_planned);
  const auto planned = static_cast<double>(run.rounds_planned);
  if (planned > 0) {
    text += " " + bar(done / planned);
  }
  text += metrics_part(last_);
  const double rate = within ? progress_.clients_per_second : clients_per_second(last_);
  if (rate > 0) {
    text += fmt::format(" {} clients/s", count_text(static_cast<int64_t>(std::min(rate, 1e15))));
  }
  if (planned > done && last_.round > 0 && last_.elapsed > 0) {
    const double per_round = last_.elapsed / static_cast<double>(last_.round);
    text += fmt::format(" {} left", seconds_text((planned - done) * per_round));
  }
  return text;
}

}  // namespace umbel::cli
