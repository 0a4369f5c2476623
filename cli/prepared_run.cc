#include "prepared_run.h"

#include "build_app.h"
#include "manifest_population.h"
#include "umbel/population/population.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

// That of --population FILE, if it is given, else the manifest's; a trace is looked for beside the
// file that names it, and is read here once, so that what is wrong with it is said before anything
// is built.
Status take_population(const RunOptions& options, Manifest& manifest) {
  fs::path folder = options.app;
  if (!options.population.empty()) {
    UMBEL_ASSIGN_OR_RETURN(manifest.population, read_population(options.population));
    folder = fs::path(options.population).parent_path();
  }
  if (!options.link.empty()) {
    manifest.population.reset();
    if (options.population.empty()) return absl::OkStatus();
    return invalid_argument("--population: the clients of {} are real ones: it is for simulations",
                            options.link);
  }
  if (!manifest.population) return absl::OkStatus();
  PopulationOptions& population = *manifest.population;
  if (!population.trace.empty()) {
    population.trace = fs::absolute(folder / population.trace).lexically_normal().string();
  }
  return Population::make(population, static_cast<uint64_t>(manifest.nodes),
                          static_cast<uint64_t>(manifest.seed))
      .status();
}

}  // namespace

Result<PreparedRun> prepare_run(const RunOptions& options, const Output& output,
                                SignalWatch& signals) {
  PreparedRun prepared;
  UMBEL_ASSIGN_OR_RETURN(prepared.manifest, read_manifest(options.app));
  for (const std::string& argument : options.run_config) {
    UMBEL_RETURN_IF_ERROR(apply_run_config(argument, prepared.manifest.config));
  }
  prepared.manifest.nodes = options.nodes.value_or(prepared.manifest.nodes);
  prepared.manifest.seed = options.seed.value_or(prepared.manifest.seed);
  prepared.manifest.threads = options.threads.value_or(prepared.manifest.threads);
  if (options.debug) prepared.manifest.threads = 1;
  UMBEL_RETURN_IF_ERROR(take_population(options, prepared.manifest));
  prepared.app = fs::absolute(options.app).lexically_normal();
  if (!prepared.app.has_filename()) prepared.app = prepared.app.parent_path();  // "app/"
  const Manifest& manifest = prepared.manifest;
  if (!manifest.python.empty() && options.link.empty()) {
    UMBEL_ASSIGN_OR_RETURN(prepared.python, bundle::find_interpreter({.given = options.python}));
  }
  if (!manifest.has_program()) return prepared;
  if (options.build) {
    UMBEL_ASSIGN_OR_RETURN(prepared.program, build_app(prepared.app, manifest, output, signals));
  } else {
    UMBEL_ASSIGN_OR_RETURN(prepared.program, built_program(prepared.app, manifest));
  }
  return prepared;
}

}  // namespace umbel::cli
