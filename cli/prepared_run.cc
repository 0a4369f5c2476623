#include "prepared_run.h"

#include "build_app.h"

namespace umbel::cli {

namespace fs = std::filesystem;

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
  prepared.app = fs::absolute(options.app).lexically_normal();
  if (!prepared.app.has_filename()) prepared.app = prepared.app.parent_path();  // "app/"
  if (options.build) {
    UMBEL_ASSIGN_OR_RETURN(prepared.program,
                           build_app(prepared.app, prepared.manifest, output, signals));
  } else {
    UMBEL_ASSIGN_OR_RETURN(prepared.program, built_program(prepared.app, prepared.manifest));
  }
  return prepared;
}

}  // namespace umbel::cli
