#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "umbel/http/server.h"
#include "umbel/superlink/runs.h"

// The JSON of the hub's routes, both ways.
namespace umbel::superlink {

http::Response json_response(const nlohmann::json& json, int code = 200);
nlohmann::json json_of(const RunRecord& run);
nlohmann::json json_of(const NodeView& node, bool with_key);
nlohmann::json json_of(const AccountRecord& account);

// A request's body: one JSON object of limited depth.  INVALID_ARGUMENT otherwise.
Result<nlohmann::json> parse_object(const std::string& body);
// A text under `key`; INVALID_ARGUMENT if it is no text, or absent without `otherwise`.
Result<std::string> text_of(const nlohmann::json& object, const char* key,
                            const char* otherwise = nullptr);
// A count under `key` of at most `most`, or 0 if it is absent.
Result<uint64_t> count_of(const nlohmann::json& object, const char* key, uint64_t most);
Result<RunRequest> run_request(const nlohmann::json& object);

}  // namespace umbel::superlink
