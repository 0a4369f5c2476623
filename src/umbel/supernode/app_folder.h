#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/status.h"
#include "umbel/bundle/bundle.h"

namespace umbel::supernode {

// An app that can be started: its program and the folder that it is started in.
struct App {
  std::string id;  // "publisher/name@version"
  std::filesystem::path program, folder;
};

// What of an app's umbel.toml a node needs.
struct AppManifest {
  std::string publisher, name;
  std::string cmake = ".";  // of its CMakeLists.txt, within the app's folder
};
Result<AppManifest> read_app_manifest(const std::filesystem::path& folder);

// Apps of the node's owner that take the place of bundles: a folder with a built program
// (build/NAME), matched by publisher and name, or a program, matched by its file's name.
class Pins {
 public:
  // NOT_FOUND or INVALID_ARGUMENT for a path that is neither.
  static Result<Pins> read(const std::vector<std::filesystem::path>& paths);
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
