#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/status.h"
#include "umbel/bundle/bundle.h"
#include "umbel/bundle/interpreter.h"

namespace umbel::supernode {

// An app whose ClientApp can be started.
struct App {
  std::string id;                    // "publisher/name@version"
  std::vector<std::string> command;  // the program, or the interpreter, and its arguments
  std::filesystem::path folder;      // that it is started in
  std::vector<std::pair<std::string, std::string>> environment = {};
};
// That of an app with a program, PROGRAM --umbel-client.
App program_app(std::string id, const std::filesystem::path& program,
                const std::filesystem::path& folder);
// That of an app whose ClientApp is in Python.  `python` is what the node's owner named, or "". The
// interpreter is started once, to see whether it is fit for it: FAILED_PRECONDITION says why not.
Result<App> python_app(std::string id, const bundle::PythonEntry& entry,
                       const std::filesystem::path& folder, const std::string& python);

// What of an app's umbel.toml a node needs.
struct AppManifest {
  std::string publisher, name;
  std::string cmake = ".";  // of its CMakeLists.txt, within the app's folder
  bundle::PythonEntry python;
};
Result<AppManifest> read_app_manifest(const std::filesystem::path& folder);

// Apps of the node's owner that take the place of bundles: a folder with a built program
// (build/NAME) or a ClientApp in Python, matched by publisher and name, or a program, matched by
// its file's name.
class Pins {
 public:
  // NOT_FOUND or INVALID_ARGUMENT for a path that is neither; as python_app().
  static Result<Pins> read(const std::vector<std::filesystem::path>& paths,
                           const std::string& python = "");
  // For "publisher/name@version"; nullptr if nothing is pinned for it.
  const App* find(std::string_view id) const;

 private:
  struct Pin {
    std::string publisher;  // "": any
    std::string name;
    App app;
  };
  std::vector<Pin> pins_;
};

// Builds an unpacked app's program with CMake, in `build`; its output goes to `on_line`.  Minutes.
// UNAVAILABLE with the last lines if it fails.
Result<std::filesystem::path> build_program(
    const std::filesystem::path& app, const std::filesystem::path& build,
    const std::function<void(std::string_view line)>& on_line);

}  // namespace umbel::supernode
