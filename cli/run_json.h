#pragma once

#include "app_command.h"
#include "history.h"
#include "json_records.h"

namespace umbel::cli {

// A run as `umbel run` and `umbel ls` print it; docs/cli.md lists the fields.
Json json_of(const Run& run);

// The run config as an app process and a hub are told it: key, value, origin.
Json json_of(const std::vector<Setting>& settings);

// spec.json: what an app process is told (docs/app-process.md).
Json spec_json(const Run& run, const Manifest& manifest, const AppRuntime& runtime);

}  // namespace umbel::cli
