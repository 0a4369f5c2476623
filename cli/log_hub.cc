#include "log_hub.h"

#include <poll.h>

#include <deque>
#include <nlohmann/json.hpp>

#include "hub_follower.h"
#include "progress.h"
#include "signal_watch.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

class HubLog {
 public:
  HubLog(const LogOptions& options, const Output& output) : options_(options), output_(output) {}

  Status run() {
    UMBEL_ASSIGN_OR_RETURN(HubClient client, HubClient::open(options_.link));
    UMBEL_RETURN_IF_ERROR(catch_up(client));
    for (const LogLine& line : kept_) print(line);
    if (!options_.follow || over_) return absl::OkStatus();
    return follow(client);
  }
  int finish() {
    if (!printed_) {
      const std::string side = options_.side == "all" ? "" : fmt::format(" as {}", options_.side);
      std::fputs(fmt::format("umbel: run {} logged nothing{}\n", options_.run, side).c_str(),
                 stderr);
    }
    output_.result({{"run-id", options_.run}, {"lines", std::move(lines_)}, {"dropped", dropped_}});
    return signals_.first() == 0 ? kDone : kSignalBase + signals_.first();
  }

 private:
  // What there is already; of it the last lines.
  Status catch_up(HubClient& client) {
    const auto most = static_cast<size_t>(options_.limit == 0 ? kLogLinesKept : options_.limit);
    while (!over_) {
      UMBEL_ASSIGN_OR_RETURN(const auto events,
                             client.events(options_.run, after_, std::chrono::seconds(0)));
      if (events.empty()) break;
      for (const HubEvent& event : events) {
        if (const auto line = line_of(event)) kept_.push_back(*line);
        if (kept_.size() <= most) continue;
        kept_.pop_front();
        dropped_ += options_.limit == 0 ? 1 : 0;
      }
    }
    return absl::OkStatus();
  }
  Status follow(HubClient& client) {
    HubFollower follower(client, options_.run, after_);
    while (true) {
      pollfd polled[] = {{follower.descriptor(), POLLIN, 0}, {signals_.descriptor(), POLLIN, 0}};
      if (poll(polled, 2, -1) < 0) continue;
      if (signals_.take() != 0) return absl::OkStatus();
      const HubFollower::Taken taken = follower.take();
      if (!taken.notice.empty()) {
        std::fputs(fmt::format("umbel: {}\n", terminal_safe(taken.notice)).c_str(), stderr);
      }
      for (const HubEvent& event : taken.events) {
        if (const auto line = line_of(event)) print(*line);
      }
      if (taken.ended) return *taken.ended;
    }
  }
  std::optional<LogLine> line_of(const HubEvent& event) {
    after_ = std::max(after_, event.sequence);
    over_ = over_ || std::holds_alternative<Run>(event.what);
    auto line = log_line_of(event);
    if (line && options_.side != "all" && line->side != options_.side) line.reset();
    return line;
  }
  void print(const LogLine& line) {
    printed_ = true;
    if (output_.format() == Format::kJson) lines_.push_back(json_of(line));
    if (output_.format() == Format::kText || options_.follow) output_.say(log_text(line));
  }

  const LogOptions& options_;
  const Output& output_;
  SignalWatch signals_;
  std::deque<LogLine> kept_;
  Json lines_ = Json::array();
  int64_t after_ = 0, dropped_ = 0;
  bool over_ = false, printed_ = false;
};

}  // namespace

int log_at_hub(const LogOptions& options, const Output& output) {
  HubLog log(options, output);
  if (const Status status = log.run(); !status.ok()) return output.fail_on(options.link, status);
  return log.finish();
}

}  // namespace umbel::cli
