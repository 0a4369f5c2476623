#pragma once

#include <optional>
#include <string>
#include <vector>

#include "umbel/app/context.h"
#include "umbel/population/population_options.h"

namespace umbel {

// What an app's program is asked to do: the file that `umbel run` writes for it.
struct RunSpec {
  Run run;
  size_t threads = 0;
  std::string output;  // the folder that artifacts go to
  // Keeps a checkpoint there after every round, and goes on from one that is there.
  bool checkpoints = false;
  // What the clients of a simulation are like.
  std::optional<PopulationOptions> population = {};
  // How a simulation's clients are started, where they are not the program's own: a program that is
  // one worker, or a zygote.  At most one of the two.
  std::vector<std::string> client_command = {};
  std::vector<std::string> zygote_command = {};
};

// INVALID_ARGUMENT that names the file and the key for anything that is not as
// docs/app-process.md says; unknown keys are ignored.
Result<RunSpec> parse_run_spec(const std::string& text, const std::string& path);
Result<RunSpec> read_run_spec(const std::string& path);

}  // namespace umbel
