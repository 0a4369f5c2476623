#include <algorithm>
#include <sstream>

#include "doctor_subject.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr uint64_t kDataBytesNoticed = 16 << 10;

// The first line of CMakeLists.txt that has one of the words, as "CMakeLists.txt:3".
std::string cmake_place(const AppSubject& app, std::initializer_list<std::string_view> words) {
  std::istringstream lines(app.cmake.value_or(""));
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    for (const std::string_view word : words) {
      if (line.find(word) != std::string::npos) {
        return fmt::format("{}:{}", app.cmake_path, number);
      }
    }
  }
  return "";
}

bool cmake_has(const AppSubject& app, std::string_view word) {
  return app.cmake && app.cmake->find(word) != std::string::npos;
}

void no_app(const Subject& subject, Findings& findings) {
  if (subject.no_app) findings.add(*subject.no_app, "no umbel.toml in it");
}

void manifest(const Subject& subject, Findings& findings) {
  if (!subject.app || subject.app->manifest.ok()) return;
  const std::string message = message_of(subject.app->manifest.status());
  const size_t end = message.find(": ");
  const bool placed = message.starts_with(subject.app->manifest_name) && end != std::string::npos;
  findings.add(placed ? message.substr(0, end) : subject.app->manifest_name,
               placed ? message.substr(end + 2) : message);
}

void cmake(const Subject& subject, Findings& findings) {
  if (!subject.app || subject.app->cmake || !subject.app->has_program) return;
  findings.add(subject.app->cmake_path, "no such file");
}

void program(const Subject& subject, Findings& findings) {
  if (!subject.app || !subject.app->manifest.ok() || !subject.app->cmake) return;
  const AppSubject& app = *subject.app;
  std::string text = *app.cmake;
  std::ranges::replace_if(
      text, [](char c) { return c == '\n' || c == '\t' || c == '('; }, ' ');
  std::istringstream words(text);
  bool made = false, project = false, by_project = false;
  for (std::string word, before; words >> word; before = word) {
    made = made || (before == "add_executable" && word == app.manifest->name);
    by_project = by_project || (before == "add_executable" && word == "${PROJECT_NAME}");
    project = project || (before == "project" && word == app.manifest->name);
  }
  if (made || (project && by_project) || cmake_has(app, "OUTPUT_NAME")) return;
  findings.add(app.cmake_path, fmt::format("no add_executable({} ...)", app.manifest->name));
}

void package(const Subject& subject, Findings& findings) {
  if (!subject.app || !subject.app->cmake || cmake_has(*subject.app, "find_package(umbel")) return;
  findings.add(subject.app->cmake_path, "no find_package(umbel REQUIRED)");
}

void entry(const Subject& subject, Findings& findings) {
  if (!subject.app || !subject.app->has_program || subject.app->code_has("UMBEL_MAIN")) return;
  findings.add("", fmt::format("{} sources, none with UMBEL_MAIN", subject.app->sources.size()));
}

void readme(const Subject& subject, Findings& findings) {
  if (subject.app && !subject.app->has_readme) findings.add("README.md", "no such file");
}

void gitignore(const Subject& subject, Findings& findings) {
  if (!subject.app || (!subject.app->has_git && !subject.app->gitignore)) return;
  std::istringstream lines(subject.app->gitignore.value_or(""));
  for (std::string line; std::getline(lines, line);) {
    for (const char* known : {"build", "build/", "/build", "/build/", "*"}) {
      if (line == known) return;
    }
  }
  findings.add(".gitignore", "no line build/");
}

void packable(const Subject& subject, Findings& findings) {
  if (!subject.app || subject.app->packable.ok()) return;
  const std::string message = message_of(subject.app->packable);
  const size_t end = message.find(": ");
  findings.add(message.substr(0, end), end == std::string::npos ? "" : message.substr(end + 2));
}

void data(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  for (const AppFile& file : subject.app->files) {
    const std::string ending = std::filesystem::path(file.path).extension().string();
    for (const char* known : {".csv", ".tsv", ".npz", ".npy", ".parquet", ".jsonl", ".h5", ".idx",
                              ".png", ".jpg", ".pgm", ".dcm", ".zip", ".gz", ".tar", ".db"}) {
      if (ending != known || file.bytes < kDataBytesNoticed) continue;
      findings.add(file.path, bytes_text(static_cast<int64_t>(file.bytes)));
    }
  }
}

void downloads(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  const std::string where =
      cmake_place(*subject.app, {"FetchContent_", "ExternalProject_Add", "file(DOWNLOAD"});
  if (!where.empty()) findings.add(where, "CMake fetches something from elsewhere");
}

void fast_math(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  const std::string where =
      cmake_place(*subject.app, {"-ffast-math", "-Ofast", "-ffinite-math-only"});
  if (!where.empty()) findings.add(where, "the compiler may assume that no number is NaN");
}

void unoptimised(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  const std::string where =
      cmake_place(*subject.app, {"-O0", "CMAKE_BUILD_TYPE Debug", "CMAKE_BUILD_TYPE \"Debug\""});
  if (!where.empty()) findings.add(where, "the program is built without optimisation");
}

}  // namespace

std::vector<Rule<Subject>> layout_rules() {
  return {
      {"D001", Severity::kError, "the manifest is not as it has to be",
       "correct umbel.toml; docs/cli.md shows a whole one", manifest},
      {"D002", Severity::kError, "there is no CMakeLists.txt where [entry] cmake says",
       "put it there, or say in [entry] cmake where it is", cmake},
      {"D003", Severity::kError, "CMake makes no program of the app's name",
       "name the program as [app] name does: add_executable(NAME main.cc)", program},
      {"D004", Severity::kError, "CMake does not look for Umbel",
       "find_package(umbel REQUIRED), and link umbel::umbel", package},
      {"D005", Severity::kError, "no source starts the app",
       "end one source with UMBEL_MAIN(server, client)", entry},
      {"D054", Severity::kError, "the folder is no app",
       "name an app's folder, or make one with umbel new; for a folder of data there is umbel data "
       "inspect",
       no_app},
      {"D006", Severity::kWarning, "there is no README.md",
       "say in README.md what the app learns, from which data, and how to run it", readme},
      {"D007", Severity::kHint, "git would keep what is built",
       "put the line build/ into .gitignore", gitignore},
      {"D008", Severity::kError, "something in the folder must not travel in a bundle",
       "move it out of the app's folder; nodes get paths to keys and data from their owners, by "
       "--node-config",
       packable},
      {"D009", Severity::kWarning, "data lie in the app's folder and would go to every node",
       "move them out; data stay where they are, and a node's owner says where with --node-config",
       data},
      {"D012", Severity::kWarning, "the build fetches something from elsewhere",
       "use what is installed, or put the source into the app: a bundle has to build the same at "
       "every site, also without a network",
       downloads},
      {"D013", Severity::kWarning, "the compiler is allowed to ignore NaN",
       "leave out -ffast-math: a diverged client could no longer be told, and sites would differ",
       fast_math},
      {"D014", Severity::kWarning, "the program is built without optimisation",
       "leave the build type to Umbel (Release): training is many times slower without",
       unoptimised},
  };
}

}  // namespace umbel::cli
