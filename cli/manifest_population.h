#pragma once

#include <filesystem>
#include <string_view>

#include "umbel/population/population_options.h"
#include "umbel/toml/toml.h"

namespace umbel::cli {

// [population] of umbel.toml, checked.  INVALID_ARGUMENT as parse_manifest() has it:
// `umbel.toml:20: [population] dropout: expected 0 to 1, got 2`.
Result<PopulationOptions> population_of(const TomlEntry& table, std::string_view file);

// The same from a file of its own, which has nothing but this table.
Result<PopulationOptions> read_population(const std::filesystem::path& file);

}  // namespace umbel::cli
