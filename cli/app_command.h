#pragma once

#include <filesystem>
#include <optional>

#include "child.h"
#include "json_records.h"
#include "manifest.h"
#include "umbel/bundle/interpreter.h"

namespace umbel::cli {

// What an app's sides are run by: its program, an interpreter, or one for each.
struct AppRuntime {
  std::filesystem::path app, program;         // program: "" where nothing is in C++
  std::optional<bundle::Interpreter> python;  // where something is in Python
};

// The process that carries a run in a simulation (docs/app-process.md): the ServerApp's.
ChildCommand run_command(const AppRuntime& runtime, const bundle::PythonEntry& entry,
                         const std::filesystem::path& spec);
// Adds to spec.json who answers clients' messages, where that is not the ServerApp's own program.
void add_clients(const AppRuntime& runtime, const bundle::PythonEntry& entry, Json& spec);

}  // namespace umbel::cli
