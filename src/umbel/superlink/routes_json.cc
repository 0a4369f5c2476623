#include "umbel/superlink/routes_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "umbel/superlink/settings_json.h"

namespace umbel::superlink {

using Json = nlohmann::json;

namespace {

constexpr double kWaitSecondsMax = 24 * 3600;

bool shallow(int depth, Json::parse_event_t, Json&) { return depth <= 8; }

}  // namespace

http::Response json_response(const Json& json, int code) {
  http::Response response;
  response.code = code;
  response.body = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  return response;
}

Json json_of(const RunRecord& run) {
  Json json = {{"run-id", run.id.value()},
               {"app", run.app},
               {"version", run.version},
               {"publisher", run.publisher},
               {"bundle", run.bundle},
               {"account", run.account},
               {"federation", run.federation},
               {"status", name_of(run.status)},
               {"rounds", run.rounds},
               {"rounds-planned", run.rounds_planned},
               {"nodes", run.members.empty() ? run.nodes_asked : run.members.size()},
               {"seed", run.seed},
               {"created-ms", run.created_ms},
               {"started-ms", run.started_ms},
               {"finished-ms", run.finished_ms},
               {"error", run.error},
               {"exit-code", run.exit_code},
               {"restarts", run.restarts},
               {"run-config", settings_json(run.config, run.origins)}};
  if (run.nodes_there) json["nodes-there"] = *run.nodes_there;
  return json;
}

Json json_of(const NodeView& node, bool with_key) {
  Json json = {{"name", node.record.name},
               {"federation", node.record.federation},
               {"status", node.status},
               {"since-ms", node.since_ms},
               {"platform", node.platform},
               {"software", node.software},
               {"registered-ms", node.record.registered_ms},
               {"working", node.working}};
  if (with_key) json["key"] = node.record.key.text();
  return json;
}

Json json_of(const AccountRecord& account) {
  return {{"name", account.name},
          {"federation", account.federation},
          {"role", name_of(account.role)},
          {"key", account.key.text()}};
}

Result<Json> parse_object(const std::string& body) {
  Json json = Json::parse(body, shallow, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) {
    return invalid_argument("the request's body is not a JSON object");
  }
  return json;
}

Result<std::string> text_of(const Json& object, const char* key, const char* otherwise) {
  const auto found = object.find(key);
  if (found == object.end() && otherwise) return std::string(otherwise);
  if (found == object.end() || !found->is_string()) {
    return invalid_argument("\"{}\": expected a text", key);
  }
  return found->get<std::string>();
}

Result<uint64_t> count_of(const Json& object, const char* key, uint64_t most) {
  const auto found = object.find(key);
  if (found == object.end()) return 0;
  if (!found->is_number_unsigned() || found->get<uint64_t>() > most) {
    return invalid_argument("\"{}\": expected an integer, 0 to {}", key, most);
  }
  return found->get<uint64_t>();
}

Result<RunRequest> run_request(const Json& object) {
  RunRequest request;
  UMBEL_ASSIGN_OR_RETURN(request.bundle, text_of(object, "bundle"));
  UMBEL_ASSIGN_OR_RETURN(request.nodes, count_of(object, "nodes", kNodesMax));
  UMBEL_ASSIGN_OR_RETURN(request.seed, count_of(object, "seed", INT64_MAX));
  if (const auto wait = object.find("wait-seconds"); wait != object.end()) {
    if (!wait->is_number() || !(wait->get<double>() >= 0) ||
        wait->get<double>() > kWaitSecondsMax) {
      return invalid_argument("\"wait-seconds\": expected a number, 0 to {}", kWaitSecondsMax);
    }
    request.wait_seconds = wait->get<double>();
  }
  if (const auto config = object.find("run-config"); config != object.end()) {
    UMBEL_RETURN_IF_ERROR(parse_settings(*config, request.config, request.origins));
  }
  return request;
}

}  // namespace umbel::superlink
