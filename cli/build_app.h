#pragma once

#include <filesystem>
#include <string>

#include "manifest.h"
#include "output.h"
#include "signal_watch.h"

namespace umbel::cli {

// An app's program: APP/build/NAME.
std::filesystem::path program_of(const std::filesystem::path& app, const Manifest& manifest);

// Builds a C++ app with CMake into APP/build: configures where that has not been done for this
// folder and this Umbel, then builds what changed.  A second build of the same app waits for the
// first.  The tools' words go to APP/build/umbel-build.log and, if the build fails, their last
// lines into the message.  UNAVAILABLE if the user's code does not build, NOT_FOUND if a tool is
// not installed, CANCELLED on a signal.
Result<std::filesystem::path> build_app(const std::filesystem::path& app, const Manifest& manifest,
                                        const Output& output, SignalWatch& signals);

// The program as it lies there; NOT_FOUND if it was not built.
Result<std::filesystem::path> built_program(const std::filesystem::path& app,
                                            const Manifest& manifest);

}  // namespace umbel::cli
