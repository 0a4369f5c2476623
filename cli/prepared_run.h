#pragma once

#include <filesystem>

#include "app_command.h"
#include "manifest.h"
#include "output.h"
#include "signal_watch.h"

namespace umbel::cli {

// An app that is ready to be run: its manifest with the overrides of --run-config, its folder, its
// program, and for a run here its interpreter.
struct PreparedRun : AppRuntime {
  Manifest manifest;
};

// Everything that can be wrong with an app before there is a run.
Result<PreparedRun> prepare_run(const RunOptions& options, const Output& output,
                                SignalWatch& signals);

}  // namespace umbel::cli
