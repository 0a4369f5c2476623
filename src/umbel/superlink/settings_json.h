#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "umbel/record/record.h"

namespace umbel::superlink {

// A run's settings as docs/app-process.md writes them: [{"key", "value", "origin"}, ...].
nlohmann::json settings_json(const ConfigRecord& config, const std::vector<std::string>& origins);
// INVALID_ARGUMENT that names the key for anything else.
Status parse_settings(const nlohmann::json& json, ConfigRecord& config,
                      std::vector<std::string>& origins);

// The text under `key`; empty if `json` is no object or has none.
std::string text_in(const nlohmann::json& json, const char* key);

}  // namespace umbel::superlink
