#include "lenses.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr const char* kDelivery = "delivery";
constexpr const char* kData = "data";
constexpr const char* kProcess = "local-process";
constexpr const char* kLink = "link";

class Records {
 public:
  explicit Records(const std::vector<RecordEvent>& records) : records_(records) {}
  std::optional<double> find(std::string_view record, std::string_view name) const {
    for (const RecordEvent& one : records_) {
      if (one.name != record) continue;
      const auto value = find_real(one.metrics, name);
      if (value && std::isfinite(*value) && *value >= 0) return value;
    }
    return std::nullopt;
  }

 private:
  const std::vector<RecordEvent>& records_;
};

int64_t whole(double value) {  // counts from an app are not trusted to stay in range
  return value >= 0 && value < 9e18 ? static_cast<int64_t>(value) : 0;
}

Lens bandwidth(const Run& run, const Records& records) {
  Lens lens{"bandwidth", "", {{"bytes-down", run.bytes_down}, {"bytes-up", run.bytes_up}}};
  lens.text = fmt::format("{} down, {} up", bytes_text(run.bytes_down), bytes_text(run.bytes_up));
  if (run.rounds > 0) {
    const int64_t down = run.bytes_down / run.rounds, up = run.bytes_up / run.rounds;
    lens.text += fmt::format("; a round {} and {}", bytes_text(down), bytes_text(up));
    lens.figures.set("bytes-down-per-round", down);
    lens.figures.set("bytes-up-per-round", up);
  }
  if (const auto bundle = records.find(kLink, "bundle-bytes")) {
    lens.text += fmt::format("; the bundle {}", bytes_text(whole(*bundle)));
    lens.figures.set("bundle-bytes", whole(*bundle));
  }
  if (const auto data = records.find(kData, "bytes"); data && *data > 0) {
    const double share =
        (static_cast<double>(run.bytes_down) + static_cast<double>(run.bytes_up)) / *data;
    lens.text += fmt::format("; {} times the {} of local data", metric_text(share),
                             bytes_text(whole(*data)));
    lens.figures.set("local-data-bytes", whole(*data));
    lens.figures.set("bytes-per-local-byte", share);
  }
  return lens;
}

void add_percentile(Lens& lens, const char* of, const char* name, double seconds) {
  lens.text += fmt::format(", {} {}", name, seconds_text(seconds));
  lens.figures.set(fmt::format("{}-seconds-{}", of, name), seconds);
}

Lens latency(const Run& run, const std::vector<RoundEvent>& rounds, const Records& records) {
  Lens lens{"latency", "", {}};
  if (const auto replies = records.find(kDelivery, "replies")) {
    lens.text = fmt::format("{} replies", count_text(whole(*replies)));
    lens.figures.set("replies", whole(*replies));
    for (const char* name : {"p50", "p90", "p99"}) {
      const auto seconds = records.find(kDelivery, fmt::format("reply-seconds-{}", name));
      if (seconds) add_percentile(lens, "reply", name, *seconds);
    }
    return lens;
  }
  if (rounds.empty()) {
    lens.text = "no round was finished";
    return lens;
  }
  std::vector<double> sorted;
  for (const RoundEvent& round : rounds) sorted.push_back(round.seconds);
  std::ranges::sort(sorted);
  const auto at = [&](double share) {  // by nearest rank
    return sorted[static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size()))) - 1];
  };
  lens.text = fmt::format("{} rounds", count_text(run.rounds));
  add_percentile(lens, "round", "p50", at(0.5));
  add_percentile(lens, "round", "p99", at(0.99));
  return lens;
}

Lens efficiency(const Run& run, const Records& records) {
  Lens lens{"efficiency", "no client trained", {}};
  if (run.clients > 0 && run.seconds > 0) {
    const double rate = static_cast<double>(run.clients) / run.seconds;
    lens.text = rate < 100 ? fmt::format("{:.3g} clients/s", rate)
                           : fmt::format("{} clients/s", count_text(whole(rate)));
    lens.figures.set("clients-per-second", rate);
  }
  if (const auto cpu = records.find(kProcess, "cpu-seconds")) {
    lens.text += fmt::format("; {} of CPU here", seconds_text(*cpu));
    lens.figures.set("cpu-seconds", *cpu);
  }
  return lens;
}

Lens reliability(const Run& run, const Records& records) {
  Lens lens{"reliability", "", {{"counted", run.clients}, {"failed", run.failures}}};
  lens.text = fmt::format("{} replies counted, {} failed", count_text(run.clients),
                          run.failures == 0 ? "none" : count_text(run.failures));
  if (!run.failure_reasons.empty()) {
    lens.text += fmt::format(" ({})", reasons_summary(run.failure_reasons));
  }
  if (const auto restarts = records.find(kLink, "restarts")) {
    const int64_t count = whole(*restarts);
    lens.text += count == 1 ? "; 1 restart"
                            : fmt::format("; {} restarts", count == 0 ? "no" : count_text(count));
    lens.figures.set("restarts", count);
  }
  return lens;
}

Lens privacy(const Run& run, const Records& records) {
  Lens lens{"privacy",
            "no differential privacy, no secure aggregation: updates are folded in memory, never "
            "stored",
            {{"differential-privacy", int64_t{0}}, {"secure-aggregation", int64_t{0}}}};
  if (run.link.empty()) {
    lens.text += "; simulated on this machine";
  } else if (const auto tls = records.find(kLink, "tls")) {
    lens.text += *tls != 0 ? "; TLS to the hub" : "; without TLS, readable on the way";
    lens.figures.set("tls", int64_t{*tls != 0});
  }
  return lens;
}

}  // namespace

bool is_for_lenses(std::string_view record) {
  return record == kDelivery || record == kData || record == kProcess || record == kLink;
}

RecordEvent link_record(bool tls, int64_t restarts, int64_t bundle_bytes) {
  RecordEvent record{kLink, {{"tls", int64_t{tls}}, {"restarts", restarts}}};
  if (bundle_bytes > 0) record.metrics.set("bundle-bytes", bundle_bytes);
  return record;
}

RecordEvent process_record(double cpu_seconds) {
  return {kProcess, {{"cpu-seconds", cpu_seconds}}};
}

std::vector<Lens> lenses_of(const Run& run, const std::vector<RoundEvent>& rounds,
                            const std::vector<RecordEvent>& records) {
  const Records named(records);
  return {bandwidth(run, named), latency(run, rounds, named), efficiency(run, named),
          reliability(run, named), privacy(run, named)};
}

Json json_of(const std::vector<Lens>& lenses) {
  Json object = Json::object();
  for (const Lens& lens : lenses) {
    Json& one = object[lens.name] = json_of(lens.figures);
    one["text"] = lens.text;
  }
  return object;
}

}  // namespace umbel::cli
