#include "app_command.h"

#include <nlohmann/json.hpp>

namespace umbel::cli {

namespace {

constexpr const char* kModule = "umbel";

std::vector<std::string> of_python(const AppRuntime& runtime, const bundle::PythonEntry& entry,
                                   bundle::PythonSides sides, std::vector<std::string> mode) {
  for (std::string& argument : bundle::entry_arguments(entry, sides)) {
    mode.push_back(std::move(argument));
  }
  return bundle::python_command(*runtime.python, kModule, mode);
}

}  // namespace

ChildCommand run_command(const AppRuntime& runtime, const bundle::PythonEntry& entry,
                         const std::filesystem::path& spec) {
  const std::vector<std::string> mode = {"--umbel-run", spec.string()};
  ChildCommand command;
  command.folder = runtime.app;
  command.events_variable = "UMBEL_EVENTS_FD";
  if (runtime.python) command.environment = bundle::python_environment(*runtime.python, true);
  if (entry.server.empty()) {
    command.arguments = {runtime.program.string()};
    command.arguments.insert(command.arguments.end(), mode.begin(), mode.end());
  } else {
    command.arguments = of_python(runtime, entry, bundle::PythonSides::kBoth, mode);
  }
  return command;
}

void add_clients(const AppRuntime& runtime, const bundle::PythonEntry& entry, Json& spec) {
  if (entry.empty() || (!entry.server.empty() && !entry.client.empty())) return;
  if (entry.client.empty()) {
    spec["client-command"] = {runtime.program.string(), "--umbel-client"};
  } else {
    spec["zygote-command"] =
        of_python(runtime, entry, bundle::PythonSides::kClient, {"--umbel-zygote"});
  }
}

}  // namespace umbel::cli
