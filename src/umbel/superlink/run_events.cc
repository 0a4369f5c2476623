#include "umbel/superlink/run_events.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "umbel/base/text.h"
#include "umbel/superlink/log.h"
#include "umbel/superlink/settings_json.h"

namespace umbel::superlink {

namespace {

using Json = nlohmann::json;

constexpr size_t kDepthMax = 16;
constexpr size_t kRepliesKept = 100'000;

bool event_depth(int depth, Json::parse_event_t, Json&) {
  return depth <= static_cast<int>(kDepthMax);
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

uint64_t count_in(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

}  // namespace

Status RunEvents::catch_up() {
  uint64_t after = 0;
  while (true) {
    UMBEL_ASSIGN_OR_RETURN(const std::string lines, log_->read(after));
    if (lines.empty()) return absl::OkStatus();
    std::string_view rest = lines;
    while (!rest.empty()) {
      const size_t end = rest.find('\n');
      const Json line = Json::parse(rest.substr(0, end), nullptr, false);
      rest.remove_prefix(end + 1);
      ++after;
      // What ended by the last hub's doing goes on now.
      if (line.is_object() && line.contains("event") &&
          text_in(line["event"], "event") != "finished") {
        take(dump(line["event"]), false).IgnoreError();
      }
    }
  }
}

Status RunEvents::event(std::string_view line) { return take(line, true); }

Status RunEvents::take(std::string_view line, bool keep) {
  const Json json = Json::parse(line, event_depth, /*allow_exceptions=*/false);
  if (!json.is_object() || text_in(json, "event").empty()) {
    return invalid_argument("an event that is not a JSON object with an \"event\": {}",
                            escaped(line.substr(0, 100)));
  }
  const std::string kind = text_in(json, "event");
  std::string delivery;
  {
    absl::MutexLock lock(&mutex_);
    if (finished_) return invalid_argument("an event after \"finished\": {}", escaped(kind));
    if (kind == "rounds") planned_ = std::max(planned_, count_in(json, "rounds"));
    if (kind == "round") {
      const uint64_t round = count_in(json, "round");
      if (any_round_ && round <= last_round_) return absl::OkStatus();
      any_round_ = true;
      last_round_ = round;
      if (round > 0) ++rounds_;
      clients_ += count_in(json, "clients");
      failures_ += count_in(json, "failures");
      if (json.contains("elapsed") && json["elapsed"].is_number()) {
        seconds_ = json["elapsed"].get<double>();
      }
    }
    if (kind == "finished") {
      finished_ = {text_in(json, "status"), text_in(json, "error"),
                   static_cast<int64_t>(count_in(json, "exit-code"))};
      if (replies_) delivery = this->delivery();
    }
  }
  if (!delivery.empty()) append(delivery);
  if (keep) append(dump(json));
  return absl::OkStatus();
}

void RunEvents::delivered(std::span<const double> seconds) {
  absl::MutexLock lock(&mutex_);
  for (const double one : seconds) {
    if (reply_seconds_.size() < kRepliesKept) {
      reply_seconds_.push_back(one);
    } else {
      reply_seconds_[replies_ % kRepliesKept] = one;
    }
    ++replies_;
  }
}

std::string RunEvents::delivery() const {
  std::vector<double> sorted = reply_seconds_;
  std::ranges::sort(sorted);
  const auto at = [&](double share) {
    return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
  };
  return dump({{"event", "record"},
               {"name", "delivery"},
               {"metrics",
                {{"replies", replies_},
                 {"reply-seconds-p50", at(0.5)},
                 {"reply-seconds-p90", at(0.9)},
                 {"reply-seconds-p99", at(0.99)}}}});
}

void RunEvents::append(const std::string& line, bool chatter) {
  const Status status = chatter ? log_->append_chatter(line) : log_->append(line);
  if (!status.ok()) {
    log_error("run: an event is lost: {}", message_of(status));
  }
}

void RunEvents::output(bool is_error, std::string_view line) {
  append(dump({{"event", "output"}, {"error", is_error}, {"line", std::string(line)}}), true);
}

void RunEvents::log(std::string_view side, std::string_view level, std::optional<uint64_t> node,
                    std::string_view message) {
  Json json = {{"event", "log"},
               {"side", std::string(side)},
               {"level", std::string(level)},
               {"message", std::string(message)}};
  if (node) json["node"] = *node;
  append(dump(json), node.has_value());
}

void RunEvents::finish(const RunFinished& finished) {
  Json json = {{"event", "finished"},
               {"status", finished.status},
               {"error", finished.error},
               {"exit-code", finished.exit_code}};
  std::string delivery;
  {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
    finished_ = finished;
    if (replies_) delivery = this->delivery();
    json["rounds"] = rounds_;
    json["seconds"] = seconds_;
    json["clients"] = clients_;
    json["failures"] = failures_;
  }
  if (!delivery.empty()) append(delivery);
  append(dump(json));
}

uint64_t RunEvents::rounds() const {
  absl::MutexLock lock(&mutex_);
  return rounds_;
}

uint64_t RunEvents::rounds_planned() const {
  absl::MutexLock lock(&mutex_);
  return planned_;
}

std::optional<RunFinished> RunEvents::finished() const {
  absl::MutexLock lock(&mutex_);
  return finished_;
}

}  // namespace umbel::superlink
