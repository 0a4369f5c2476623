#include "umbel/main/events.h"

#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <nlohmann/json.hpp>

namespace umbel {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLogBytesMax = 64 << 10;  // of one line; the rest is cut

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json to_json(const MetricRecord& metrics) {
  Json json = Json::object();
  for (const auto& [name, value] : metrics) {
    json[name] = std::visit(
        [](const auto& v) -> Json {
          using T = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<T, double>) {
            return number(v);
          } else if constexpr (std::is_same_v<T, std::vector<double>>) {
            Json list = Json::array();
            for (const double x : v) list.push_back(number(x));
            return list;
          } else {
            return v;
          }
        },
        value.base());
  }
  return json;
}

// Names and messages come from users' code and need not be UTF-8.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

}  // namespace

void Events::write(const std::string& line) {
  if (descriptor_ < 0) return;
  absl::MutexLock lock(&mutex_);
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t wrote = ::write(descriptor_, rest.data(), rest.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return;
    rest.remove_prefix(static_cast<size_t>(wrote));
  }
}

void Events::started(uint64_t nodes, size_t threads) {
  write(dump({{"event", "started"}, {"nodes", nodes}, {"threads", threads}}));
}

void Events::rounds(uint64_t rounds) { write(dump({{"event", "rounds"}, {"rounds", rounds}})); }

void Events::resumed(uint64_t round) { write(dump({{"event", "resumed"}, {"round", round}})); }

void Events::progress(const Progress& progress) {
  write(dump({{"event", "progress"},
              {"round", progress.round},
              {"phase", progress.phase},
              {"done", progress.done},
              {"total", progress.total},
              {"clients-per-second", number(progress.clients_per_second)}}));
}

void Events::round(const RoundReport& report, double elapsed) {
  Json samples = Json::array();
  for (const RoundReport::Failure& failure : report.failure_samples) {
    samples.push_back({{"node", failure.node}, {"kind", failure.kind}, {"reason", failure.reason}});
  }
  Json json = {{"event", "round"},
               {"round", report.round},
               {"seconds", report.seconds},
               {"elapsed", elapsed},
               {"clients", report.clients},
               {"failures", report.failures},
               {"failure-reasons", report.failure_reasons},
               {"failure-samples", samples},
               {"bytes-down", report.bytes_down},
               {"bytes-up", report.bytes_up},
               {"train", to_json(report.train)},
               {"evaluate", to_json(report.evaluate)},
               {"server", to_json(report.server)},
               {"note", report.note}};
  if (const auto& virtual_time = report.virtual_time) {
    json["virtual-seconds"] = virtual_time->seconds;
    json["wanted"] = virtual_time->wanted;
    json["asked"] = virtual_time->asked;
    json["available"] = virtual_time->available;
  }
  write(dump(json));
}

void Events::log(LogLevel level, std::optional<NodeId> node, std::string_view message) {
  write(dump({{"event", "log"},
              {"side", node ? "client" : "server"},
              {"level", name_of(level)},
              {"node", node ? Json(node->value()) : Json(nullptr)},
              {"message", message.substr(0, kLogBytesMax)}}));
}

void Events::record(std::string_view name, const MetricRecord& metrics) {
  write(dump({{"event", "record"}, {"name", name}, {"metrics", to_json(metrics)}}));
}

void Events::artifact(std::string_view name, uint64_t bytes, std::string_view sha256) {
  write(dump({{"event", "artifact"}, {"name", name}, {"bytes", bytes}, {"sha256", sha256}}));
}

void Events::finished(const Finished& finished) {
  write(dump({{"event", "finished"},
              {"status", finished.status},
              {"error", finished.error},
              {"reason", finished.reason},
              {"exit-code", finished.exit_code},
              {"rounds", finished.rounds},
              {"seconds", finished.seconds},
              {"clients", finished.clients},
              {"failures", finished.failures},
              {"metrics", to_json(finished.metrics)},
              {"model-sha256", finished.model_sha256}}));
}

}  // namespace umbel
