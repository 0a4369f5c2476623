#include "app_process.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>

#include "line_splitter.h"

namespace umbel::cli {

namespace {

using Clock = AppListener::Clock;
constexpr auto kGrace = std::chrono::seconds(5);
constexpr auto kLinger = std::chrono::seconds(10);  // from "finished" to the process's end
constexpr size_t kReadBytes = 1 << 16;
constexpr size_t kOutputLineBytesMax = 16 << 10;
constexpr size_t kDrainBytesMax = 64 << 20;  // what is still taken once the process has ended

class Supervisor {
 public:
  Supervisor(Child child, SignalWatch& signals, AppListener& listener)
      : child_(std::move(child)), signals_(signals), listener_(listener) {}

  AppOutcome run() {
    while (!ended_) step();
    outcome_.wait_status = child_.wait();
    outcome_.cpu_seconds = child_.cpu_seconds();
    drain();
    return std::move(outcome_);
  }

 private:
  void step() {
    std::array<pollfd, 5> polled = {{{child_.ended_descriptor(), POLLIN, 0},
                                     {signals_.descriptor(), POLLIN, 0},
                                     {child_.events().get(), POLLIN, 0},
                                     {child_.output().get(), POLLIN, 0},
                                     {child_.errors().get(), POLLIN, 0}}};
    wait(polled);
    if (polled[1].revents != 0) {
      while (signals_.take() != 0) on_signal();
    }
    if (polled[2].revents != 0) read_events();
    if (polled[3].revents != 0) read_output(child_.output(), output_lines_, false);
    if (polled[4].revents != 0) read_output(child_.errors(), error_lines_, true);
    ended_ = polled[0].revents != 0;
    on_deadlines();
  }

  void wait(std::array<pollfd, 5>& polled) {
    std::optional<Clock::time_point> next = listener_.deadline();
    if (patience_ && (!next || *patience_ < *next)) next = patience_;
    timespec span{};
    if (next) {
      const auto left = std::max(Clock::duration(0), *next - Clock::now());
      const auto nanoseconds = std::chrono::nanoseconds(left).count();
      span = {nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
    }
    if (ppoll(polled.data(), polled.size(), next ? &span : nullptr, nullptr) < 0) {
      for (pollfd& one : polled) one.revents = 0;
    }
  }

  void on_signal() {
    outcome_.signal = signals_.first();
    if (asked_to_end_) {
      kill_it();
    } else {
      ask_to_end();
    }
  }
  void ask_to_end() {
    asked_to_end_ = true;
    child_.signal_group(SIGTERM);
    patience_ = Clock::now() + kGrace;
  }
  void kill_it() {
    outcome_.killed = true;
    child_.signal_group(SIGKILL);
    patience_.reset();
  }
  void on_deadlines() {
    if (const auto next = listener_.deadline(); next && *next <= Clock::now()) {
      listener_.on_deadline();
    }
    if (!patience_ || *patience_ > Clock::now() || ended_) return;
    if (asked_to_end_) {
      kill_it();
    } else {
      ask_to_end();
    }
  }

  void read_events() {
    read_from(child_.events(), [&](std::string_view text) {
      event_lines_.feed(text, [&](std::string_view line, bool cut) { take_event(line, cut); });
    });
  }
  void take_event(std::string_view line, bool cut) {
    if (!outcome_.stream.ok() || outcome_.finished) return;
    if (line.empty() && !cut) return;
    ++event_number_;
    Result<Event> event =
        cut ? Result<Event>(invalid_argument("longer than the limit of {} bytes", kEventBytesMax))
            : parse_event(line);
    if (!event.ok()) {
      outcome_.stream = annotate(event.status(), fmt::format("the app's event {}", event_number_));
      if (!asked_to_end_ && !ended_) ask_to_end();
      return;
    }
    if (const auto* finished = std::get_if<FinishedEvent>(&*event)) {
      outcome_.finished = *finished;
      if (!patience_) patience_ = Clock::now() + kLinger;
    }
    listener_.on_event(*event);
  }

  void read_output(Descriptor& descriptor, LineSplitter& lines, bool is_error) {
    read_from(descriptor, [&](std::string_view text) {
      lines.feed(text, [&](std::string_view line, bool) { listener_.on_output(is_error, line); });
    });
  }

  // One read; at the end of the pipe the descriptor is closed.  False if there was nothing.
  template <class Take>
  bool read_from(Descriptor& descriptor, Take&& take) {
    if (descriptor.get() < 0) return false;
    const ssize_t got = read(descriptor.get(), buffer_.data(), buffer_.size());
    if (got > 0) take(std::string_view(buffer_.data(), static_cast<size_t>(got)));
    if (got == 0) descriptor.reset();
    return got > 0;
  }

  // A process that left the group may still hold a pipe's other end: nothing is waited for.
  void drain() {
    const auto rest = [&](Descriptor& descriptor, auto&& take) {
      size_t bytes = 0;
      while (bytes < kDrainBytesMax && read_from(descriptor, [&](std::string_view text) {
               bytes += text.size();
               take(text);
             })) {
      }
    };
    const auto event = [&](std::string_view line, bool cut) { take_event(line, cut); };
    const auto output = [&](std::string_view line, bool) { listener_.on_output(false, line); };
    const auto error = [&](std::string_view line, bool) { listener_.on_output(true, line); };
    rest(child_.events(), [&](std::string_view text) { event_lines_.feed(text, event); });
    rest(child_.output(), [&](std::string_view text) { output_lines_.feed(text, output); });
    rest(child_.errors(), [&](std::string_view text) { error_lines_.feed(text, error); });
    output_lines_.finish(output);
    error_lines_.finish(error);
  }

  Child child_;
  SignalWatch& signals_;
  AppListener& listener_;
  AppOutcome outcome_;
  bool ended_ = false, asked_to_end_ = false;
  std::optional<Clock::time_point> patience_;  // when we stop waiting for the process
  int64_t event_number_ = 0;
  LineSplitter event_lines_{kEventBytesMax}, output_lines_{kOutputLineBytesMax},
      error_lines_{kOutputLineBytesMax};
  std::array<char, kReadBytes> buffer_{};
};

}  // namespace

Result<AppOutcome> supervise(const ChildCommand& command, SignalWatch& signals,
                             AppListener& listener) {
  UMBEL_ASSIGN_OR_RETURN(Child child, Child::start(command));
  AppOutcome outcome = Supervisor(std::move(child), signals, listener).run();
  outcome.had_terminal = command.has_terminal;
  return outcome;
}

Result<int> run_to_end(const ChildCommand& command, SignalWatch& signals) {
  class Nobody final : public AppListener {
    void on_event(const Event&) override {}
    void on_output(bool, std::string_view) override {}
    std::optional<Clock::time_point> deadline() const override { return std::nullopt; }
    void on_deadline() override {}
  } nobody;
  UMBEL_ASSIGN_OR_RETURN(const AppOutcome outcome, supervise(command, signals, nobody));
  if (outcome.signal != 0) return absl::CancelledError("interrupted");
  return outcome.wait_status;
}

}  // namespace umbel::cli
