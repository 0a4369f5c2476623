#include "build_app.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "app_process.h"
#include "child.h"
#include "umbel/base/files.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

constexpr size_t kStampBytesMax = 1 << 16;
constexpr size_t kLogBytesMax = 256 << 20;
constexpr int kLogLinesShown = 40;
constexpr const char* kStamp = "umbel-configured";

// Where this umbel's CMake package lies: umbel_DIR of the environment, else beside this program,
// else wherever CMake finds one.
std::string package_folder() {
  if (const char* given = std::getenv("umbel_DIR"); given != nullptr && *given != 0) return given;
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const fs::path folder = self.parent_path().parent_path() / "lib" / "cmake" / "umbel";
  return !error && fs::is_directory(folder, error) ? folder.string() : "";
}

class Build {
 public:
  Build(fs::path app, const Manifest& manifest, const Output& output, SignalWatch& signals)
      : app_(std::move(app)),
        source_((app_ / manifest.cmake).lexically_normal()),
        folder_(app_ / "build"),
        name_(manifest.name),
        output_(output),
        signals_(signals),
        ninja_(find_program("ninja")) {}

  Status run() {
    UMBEL_RETURN_IF_ERROR(check_source());
    UMBEL_RETURN_IF_ERROR(lock());
    UMBEL_RETURN_IF_ERROR(open_log());
    UMBEL_RETURN_IF_ERROR(configure());
    const fs::path rules = folder_ / (ninja_.empty() ? "Makefile" : "build.ninja");
    std::error_code ignored;
    if (!ninja_.empty() && fs::exists(rules, ignored)) {
      UMBEL_ASSIGN_OR_RETURN(const bool stale, is_stale());
      if (stale) say_building();
      return call({ninja_, "-C", folder_.string()}, "building");
    }
    say_building();
    return call({"cmake", "--build", folder_.string(), "--parallel"}, "building");
  }

 private:
  Status check_source() const {
    std::error_code ignored;
    if (fs::is_regular_file(source_ / "CMakeLists.txt", ignored)) return absl::OkStatus();
    return not_found("{}: no such file; [entry] cmake in umbel.toml names its folder",
                     (source_ / "CMakeLists.txt").string());
  }
  // Held until this object ends, or this process does.
  Status lock() {
    std::error_code error;
    fs::create_directories(folder_, error);
    const fs::path file = folder_ / "umbel-build.lock";
    lock_ = Descriptor(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (lock_.get() < 0) return unavailable("{}: {}", file.string(), std::strerror(errno));
    if (flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
    output_.say("waiting for another build of this app");
    while (flock(lock_.get(), LOCK_EX) != 0) {
      if (errno != EINTR) return unavailable("{}: {}", file.string(), std::strerror(errno));
    }
    return absl::OkStatus();
  }
  Status open_log() {
    const fs::path file = folder_ / "umbel-build.log";
    log_ = Descriptor(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (log_.get() < 0) return unavailable("{}: {}", file.string(), std::strerror(errno));
    return absl::OkStatus();
  }
  // A build folder that was configured for another place or another Umbel is configured afresh.
  Status configure() {
    const std::string package = package_folder();
    const std::string wanted = fmt::format("{}\n{}\n", source_.string(), package);
    const fs::path stamp = folder_ / kStamp;
    const auto found = read_file(stamp, kStampBytesMax);
    if (found.ok() && *found == wanted) return absl::OkStatus();
    if (find_program("cmake").empty()) {
      return not_found("cmake is not installed; `apt install cmake ninja-build g++` helps");
    }
    say_building();
    std::vector<std::string> arguments = {
        "cmake", "--fresh", "-S", source_, "-B", folder_, "-DCMAKE_BUILD_TYPE=Release"};
    if (!ninja_.empty()) arguments.insert(arguments.end(), {"-G", "Ninja"});
    if (!package.empty()) arguments.push_back("-Dumbel_DIR=" + package);
    UMBEL_RETURN_IF_ERROR(call(arguments, "configuring"));
    return write_file_atomic(stamp, wanted);
  }
  Status call(const std::vector<std::string>& arguments, std::string_view what) {
    ChildCommand command;
    command.arguments = arguments;
    command.log = log_.get();
    UMBEL_ASSIGN_OR_RETURN(const int status, run_to_end(command, signals_));
    if (status == 0) return absl::OkStatus();
    return unavailable("{} {} failed: {} {}\n{}", what, app_.string(),
                       fs::path(arguments.front()).filename().string(), describe_end(status),
                       end_of_log());
  }
  std::string end_of_log() const {
    const fs::path file = folder_ / "umbel-build.log";
    const auto text = read_file(file, kLogBytesMax);
    if (!text.ok()) return "see " + file.string();
    size_t from = text->size();
    for (int line = 0; line <= kLogLinesShown && from != 0 && from != std::string::npos; ++line) {
      from = text->rfind('\n', from - 1);
    }
    const std::string_view shown(*text);
    return std::string(shown.substr(from == std::string::npos ? 0 : from + 1)) +
           "all of it: " + file.string();
  }

  // Whether ninja, asked without doing it, has something to do.
  Result<bool> is_stale() const {
    class Listener final : public AppListener {
     public:
      bool idle = false;

     private:
      void on_event(const Event&) override {}
      void on_output(bool, std::string_view line) override {
        idle |= line.find("no work to do") != std::string_view::npos;
      }
      std::optional<Clock::time_point> deadline() const override { return std::nullopt; }
      void on_deadline() override {}
    } listener;
    ChildCommand command;
    command.arguments = {ninja_, "-n", "-C", folder_.string()};
    UMBEL_ASSIGN_OR_RETURN(const AppOutcome outcome, supervise(command, signals_, listener));
    if (outcome.signal != 0) return absl::CancelledError("interrupted");
    return !listener.idle;
  }
  // Once, and not to a program that reads our words.
  void say_building() {
    if (std::exchange(said_, true) || output_.format() == Format::kJson) return;
    std::fputs(fmt::format("building {} ...\n", name_).c_str(), stderr);
  }

  fs::path app_, source_, folder_;
  std::string name_;
  const Output& output_;
  SignalWatch& signals_;
  std::string ninja_;
  bool said_ = false;
  Descriptor lock_, log_;
};

}  // namespace

fs::path program_of(const fs::path& app, const Manifest& manifest) {
  return app / "build" / manifest.name;
}

Result<fs::path> built_program(const fs::path& app, const Manifest& manifest) {
  const fs::path program = program_of(app, manifest);
  std::error_code ignored;
  if (fs::is_regular_file(program, ignored) && access(program.c_str(), X_OK) == 0) return program;
  return not_found("{}: no such program; CMakeLists.txt has to make one named as [app] name is",
                   program.string());
}

Result<fs::path> build_app(const fs::path& app, const Manifest& manifest, const Output& output,
                           SignalWatch& signals) {
  UMBEL_RETURN_IF_ERROR(Build(app, manifest, output, signals).run());
  return built_program(app, manifest);
}

}  // namespace umbel::cli
