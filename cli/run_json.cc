#include "run_json.h"

#include <nlohmann/json.hpp>

#include "text_format.h"

namespace umbel::cli {

Json json_of(const Run& run) {
  return {{"run-id", run.id},
          {"app", run.app},
          {"version", run.version},
          {"publisher", run.publisher},
          {"status", run.status},
          {"error", run.error.empty() ? Json(nullptr) : Json(run.error)},
          {"exit-code", run.exit_code},
          {"reason", run.reason.empty() ? Json(nullptr) : Json(run.reason)},
          {"rounds", run.rounds},
          {"rounds-planned", run.rounds_planned},
          {"seconds", run.seconds},
          {"clients", run.clients},
          {"failures", run.failures},
          {"failure-reasons", json_of(run.failure_reasons)},
          {"metrics", json_of(run.metrics)},
          {"model-sha256", run.model_sha256.empty() ? Json(nullptr) : Json(run.model_sha256)},
          {"report", run.report.empty() ? Json(nullptr) : Json(run.report)},
          {"nodes", run.nodes},
          {"seed", run.seed},
          {"threads", run.threads},
          {"bytes-down", run.bytes_down},
          {"bytes-up", run.bytes_up},
          {"started", utc_text(run.started_ms)},
          {"ended", run.ended_ms == 0 ? Json(nullptr) : Json(utc_text(run.ended_ms))},
          {"folder", run.folder},
          {"link", run.link.empty() ? Json(nullptr) : Json(run.link)},
          {"link-run-id", run.link.empty() ? Json(nullptr) : Json(run.link_run)}};
}

Json json_of(const std::vector<Setting>& settings) {
  Json config = Json::array();
  for (const Setting& setting : settings) {
    config.push_back(
        {{"key", setting.key}, {"value", json_of(setting.value)}, {"origin", setting.origin}});
  }
  return config;
}

std::string spec_json(const Run& run, const std::vector<Setting>& settings) {
  const Json app = {{"name", run.app},
                    {"version", run.version},
                    {"publisher", run.publisher},
                    {"path", run.path}};
  const Json spec = {{"version", 1},
                     {"run-id", run.id},
                     {"seed", run.seed},
                     {"nodes", run.nodes},
                     {"threads", run.threads},
                     {"output", run.folder},
                     {"app", app},
                     {"run-config", json_of(settings)}};
  return text_of(spec) + "\n";
}

}  // namespace umbel::cli
