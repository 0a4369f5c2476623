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
          {"virtual-seconds", run.virtual_seconds ? Json(*run.virtual_seconds) : Json(nullptr)},
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

namespace {

Json json_of(const Attribute& attribute) {
  Json shares = Json::array();
  for (size_t i = 0; i != attribute.categories.size(); ++i) {
    shares.push_back({{"category", attribute.categories[i]}, {"share", attribute.shares[i]}});
  }
  return {{"name", attribute.name}, {"categories", shares}};
}

Json json_of(const PopulationOptions& options) {
  Json attributes = Json::array();
  for (const Attribute& attribute : options.attributes) attributes.push_back(json_of(attribute));
  return {{"availability", name_of(options.availability)},
          {"available-share", options.available_share},
          {"session-hours", options.session_hours},
          {"day-from", options.day_from},
          {"day-hours", options.day_hours},
          {"day-jitter-hours", options.day_jitter_hours},
          {"time-zones", options.time_zones},
          {"start-hour", options.start_hour},
          {"trace", options.trace},
          {"trace-end", name_of(options.trace_end)},
          {"trace-reuse", options.trace_reuse},
          {"speed-spread", options.speed_spread},
          {"down-mbits", options.down_mbits},
          {"up-mbits", options.up_mbits},
          {"bandwidth-spread", options.bandwidth_spread},
          {"latency-seconds", options.latency_seconds},
          {"latency-spread", options.latency_spread},
          {"seconds-per-example", options.seconds_per_example},
          {"dropout", options.dropout},
          {"attributes", attributes}};
}

}  // namespace

Json spec_json(const Run& run, const Manifest& manifest, const AppRuntime& runtime) {
  const Json app = {{"name", run.app},
                    {"version", run.version},
                    {"publisher", run.publisher},
                    {"path", run.path}};
  Json spec = {{"version", 1},
               {"run-id", run.id},
               {"seed", run.seed},
               {"nodes", run.nodes},
               {"threads", run.threads},
               {"output", run.folder},
               {"app", app},
               {"run-config", json_of(manifest.config)}};
  if (manifest.population) spec["population"] = json_of(*manifest.population);
  add_clients(runtime, manifest.python, spec);
  return spec;
}

}  // namespace umbel::cli
