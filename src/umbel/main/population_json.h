#pragma once

#include <nlohmann/json_fwd.hpp>

#include "umbel/population/population_options.h"

namespace umbel {

// "population" of a run's spec (docs/app-process.md): absent keys have the defaults, unknown ones
// are ignored.  INVALID_ARGUMENT that names the key and what is expected.
Result<PopulationOptions> parse_population(const nlohmann::json& json);

}  // namespace umbel
