#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/bundle/python_entry.h"
#include "umbel/population/population_options.h"
#include "umbel/record/record.h"

namespace umbel::cli {

// One setting of the run config and where it came from: "umbel.toml:12" or "--run-config".
struct Setting {
  std::string key;
  ConfigValue value;
  std::string origin;
};

// What an app's umbel.toml says, checked.
struct Manifest {
  std::string name, version, publisher;
  std::string cmake = ".";  // the folder of CMakeLists.txt, relative to the app; "": no C++ in it
  bundle::PythonEntry python;
  bool has_program() const { return !cmake.empty(); }
  std::vector<Setting> config;
  int64_t nodes = 100, seed = 1, threads = 0;
  std::optional<PopulationOptions> population;  // a trace's path is as it was written
};

// Checks a manifest's text.  INVALID_ARGUMENT is `umbel.toml:7: [simulation] nodez: unknown key;
// did you mean "nodes"?`: file, line, table, key, what is wrong.
Result<Manifest> parse_manifest(std::string_view text, std::string_view file = "umbel.toml");

// Checks the text of a pyproject.toml that has the table [tool.flwr.app]: an app written against
// Flower's API.  Its settings are flattened, a.b; nodes are the options.num-supernodes of its
// federation, or 10.  INVALID_ARGUMENT as above.
Result<Manifest> parse_flower_manifest(std::string_view text, std::string_view file);
// Whether the text is one; not whether it is as it should be.
bool is_flower_manifest(std::string_view text);

// The file that tells of the app in a folder: umbel.toml, or else a pyproject.toml with a table
// [tool.flwr.app]; umbel.toml if it is neither.
std::filesystem::path manifest_file(const std::filesystem::path& app);

// Reads it; the messages name the file as it was reached.  NOT_FOUND if there is none,
// INVALID_ARGUMENT if it is no regular file: a pipe or a device is not opened.
Result<Manifest> read_manifest(const std::filesystem::path& app);

// The rule for an app's name, and a publisher's: a-z, 0-9 and -, 64 at most, no leading -.
Status check_app_name(std::string_view what, std::string_view name);
// And for its version: MAJOR.MINOR.PATCH and what a pre-release or build may have.
Status check_app_version(const std::string& version);

// Applies one --run-config argument, `rounds=5 title="two words" sizes=[1,2]`: values as in TOML
// but for comments, of which there are none; where the setting is text, a bare word is text.  A key
// may stand in quotes.  All of it applies or none.
// INVALID_ARGUMENT for an unknown key (names the nearest) and for a value of another kind than the
// setting's; an integer given for a real number is widened.
Status apply_run_config(std::string_view argument, std::vector<Setting>& settings);

}  // namespace umbel::cli
