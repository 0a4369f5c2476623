#include "umbel/supernode/app_folder.h"

#include <absl/synchronization/mutex.h>
#include <unistd.h>

#include <deque>
#include <system_error>

#include "umbel/base/files.h"
#include "umbel/base/text.h"
#include "umbel/runner/child_process.h"
#include "umbel/toml/toml.h"

namespace umbel::supernode {

namespace fs = std::filesystem;

namespace {

constexpr size_t kManifestBytesMax = 1 << 20;
constexpr size_t kLinesShown = 20;

bool is_program(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

const TomlEntry* entry_of(const std::vector<TomlEntry>& entries, std::string_view key) {
  for (const TomlEntry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

std::string text_of(const std::vector<TomlEntry>& entries, std::string_view table,
                    std::string_view key) {
  const TomlEntry* found = entry_of(entries, table);
  const TomlEntry* entry = found == nullptr ? nullptr : entry_of(found->children, key);
  if (entry == nullptr || !entry->value) return "";
  const auto* text = std::get_if<std::string>(&entry->value->base());
  return text == nullptr ? "" : *text;
}

// A program's run that is waited for, its last lines kept for the error.
Status run(const std::vector<std::string>& arguments,
           const std::function<void(std::string_view)>& on_line,
           const std::vector<std::pair<std::string, std::string>>& environment = {}) {
  absl::Mutex mutex;
  std::deque<std::string> last;
  runner::ProcessOptions options;
  options.arguments = arguments;
  options.environment = environment;
  options.folder = "/";
  options.on_line = [&](bool, std::string_view line) {
    on_line(line);
    absl::MutexLock lock(&mutex);
    last.emplace_back(escaped(line));
    if (last.size() > kLinesShown) last.pop_front();
  };
  UMBEL_ASSIGN_OR_RETURN(auto process, runner::ChildProcess::start(std::move(options)));
  const std::string how = process->wait();
  if (how == "exited with 0") return absl::OkStatus();
  std::string text = fmt::format("{} {}", arguments.front(), how);
  for (const std::string& line : last) text += "\n" + line;
  return unavailable("{}", text);
}

// Where this umbel's CMake package lies: beside this program, else CMake finds one.
std::string package_folder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const fs::path folder = self.parent_path().parent_path() / "lib" / "cmake" / "umbel";
  return !error && fs::is_directory(folder, error) ? folder.string() : "";
}

// [entry] python = "app", or python-client = "app:client".
bundle::PythonEntry python_of(const std::vector<TomlEntry>& entries) {
  const std::string module = text_of(entries, "entry", "python");
  if (!module.empty()) return {module + ":server", module + ":client", false};
  return {text_of(entries, "entry", "python-server"), text_of(entries, "entry", "python-client"),
          false};
}

}  // namespace

App program_app(std::string id, const fs::path& program, const fs::path& folder) {
  return {std::move(id), {program.string(), "--umbel-client"}, folder};
}

Result<App> python_app(std::string id, const bundle::PythonEntry& entry, const fs::path& folder,
                       const std::string& python) {
  const auto unfit = [&](std::string_view why) {
    return failed_precondition(
        "{}: its ClientApp is in Python, which this node is not ready for: {}", id, why);
  };
  const auto found = bundle::find_interpreter({.given = python, .of_user = false});
  if (!found.ok()) return unfit(message_of(found.status()));
  auto environment = bundle::python_environment(*found, false);
  std::string said;
  const auto listen = [&](std::string_view line) { said = escaped(line); };
  const Status checked = run(bundle::python_command(*found, "", {}), listen, environment);
  if (!checked.ok()) return unfit(said.empty() ? message_of(checked) : said);
  std::vector<std::string> arguments = {"--umbel-client"};
  for (std::string& more : bundle::entry_arguments(entry, bundle::PythonSides::kClient)) {
    arguments.push_back(std::move(more));
  }
  return App{std::move(id), bundle::python_command(*found, "umbel", arguments), folder,
             std::move(environment)};
}

Result<AppManifest> read_app_manifest(const fs::path& folder) {
  const fs::path file = folder / "umbel.toml";
  UMBEL_ASSIGN_OR_RETURN(const std::string text, read_file(file, kManifestBytesMax));
  UMBEL_ASSIGN_OR_RETURN(const auto entries, parse_toml(text, file.string()));
  AppManifest manifest;
  manifest.publisher = text_of(entries, "app", "publisher");
  manifest.name = text_of(entries, "app", "name");
  const std::string cmake = text_of(entries, "entry", "cmake");
  if (!cmake.empty()) manifest.cmake = cmake;
  manifest.python = python_of(entries);
  if (manifest.name.empty() || manifest.name.find('/') != std::string::npos) {
    return invalid_argument("{}: [app] name: expected the app's name", file.string());
  }
  return manifest;
}

Result<Pins> Pins::read(const std::vector<fs::path>& paths, const std::string& python) {
  Pins pins;
  for (const fs::path& given : paths) {
    std::error_code error;
    const fs::path path = fs::canonical(given, error);
    if (error) return not_found("--app {}: {}", given.string(), error.message());
    Pin pin{"", path.filename().string(), {}};
    fs::path program = path, folder = path.parent_path();
    AppManifest manifest;
    if (fs::is_directory(path, error)) {
      UMBEL_ASSIGN_OR_RETURN(manifest, read_app_manifest(path));
      pin = {manifest.publisher, manifest.name, {}};
      program = path / "build" / manifest.name;
      folder = path;
    }
    const std::string id =
        fmt::format("{}/{} (pinned)", pin.publisher.empty() ? "*" : pin.publisher, pin.name);
    if (!manifest.python.client.empty()) {
      const Status named = bundle::check_python_object(manifest.python.client);
      if (!named.ok()) return annotate(named, "--app " + given.string());
      UMBEL_ASSIGN_OR_RETURN(pin.app, python_app(id, manifest.python, folder, python));
    } else if (is_program(program)) {
      pin.app = program_app(id, program, folder);
    } else {
      return not_found("--app {}: {} is no program; `umbel build` makes it", given.string(),
                       program.string());
    }
    pins.pins_.push_back(std::move(pin));
  }
  return pins;
}

const App* Pins::find(std::string_view id) const {
  const std::string_view whole = id.substr(0, id.rfind('@'));
  const size_t slash = whole.find('/');
  if (slash == std::string_view::npos) return nullptr;
  for (const Pin& pin : pins_) {
    if (pin.name != whole.substr(slash + 1)) continue;
    if (pin.publisher.empty() || pin.publisher == whole.substr(0, slash)) return &pin.app;
  }
  return nullptr;
}

Result<fs::path> build_program(const fs::path& app, const fs::path& build,
                               const std::function<void(std::string_view)>& on_line) {
  UMBEL_ASSIGN_OR_RETURN(const AppManifest manifest, read_app_manifest(app));
  const fs::path program = build / manifest.name;
  if (is_program(program)) return program;
  std::error_code error;
  fs::create_directories(build, error);
  const fs::path source = (app / manifest.cmake).lexically_normal();
  std::vector<std::string> configure = {"cmake", "-S",  source.string(),
                                        "-B",    build, "-DCMAKE_BUILD_TYPE=Release"};
  if (const std::string package = package_folder(); !package.empty()) {
    configure.push_back("-Dumbel_DIR=" + package);
  }
  UMBEL_RETURN_IF_ERROR(run(configure, on_line));
  UMBEL_RETURN_IF_ERROR(run({"cmake", "--build", build.string(), "--parallel"}, on_line));
  if (is_program(program)) return program;
  return not_found(
      "{}: the build made no such program; CMakeLists.txt has to name it as [app] "
      "name is",
      program.string());
}

}  // namespace umbel::supernode
