#include "manifest.h"

#include <algorithm>

#include "manifest_population.h"
#include "manifest_table.h"
#include "umbel/base/files.h"
#include "umbel/base/text.h"
#include "umbel/toml/toml.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

constexpr size_t kManifestBytesMax = 1 << 20;
constexpr size_t kNameLengthMax = 64;
constexpr size_t kSettingsMax = 1000;
constexpr int64_t kThreadsMax = 1024;

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

Status check_folder_inside(const std::string& folder) {
  const std::filesystem::path path(folder);
  const bool up = std::find(path.begin(), path.end(), "..") != path.end();
  if (!folder.empty() && !path.is_absolute() && !up) return absl::OkStatus();
  return invalid_argument("\"{}\" has to be a folder inside the app", escaped(folder));
}

Status read_app(Table& table, Manifest& manifest) {
  UMBEL_RETURN_IF_ERROR(table.take_checked(
      "name", manifest.name, [](const std::string& name) { return check_app_name("name", name); }));
  UMBEL_RETURN_IF_ERROR(table.take_checked("version", manifest.version, check_app_version));
  UMBEL_RETURN_IF_ERROR(table.take_checked(
      "publisher", manifest.publisher,
      [](const std::string& publisher) { return check_app_name("publisher", publisher); }));
  return table.require_no_others();
}

// "app" is for app:server and app:client.
Status read_python(Table& table, const TomlEntry& entry, Manifest& manifest) {
  for (const char* other : {"cmake", "python-server", "python-client"}) {
    if (table.take(other) == nullptr) continue;
    return table.wrong(
        *table.take(other),
        "python = \"MODULE\" is for both sides of the app; with a program in C++ there "
        "is python-server or python-client for the other side");
  }
  std::string module;
  UMBEL_RETURN_IF_ERROR(table.take_checked("python", module, bundle::check_python_module));
  if (module.size() > 200) return table.wrong(entry, "longer than the limit of 200 bytes");
  manifest.cmake.clear();
  manifest.python = {module + ":server", module + ":client", false};
  return table.require_no_others();
}

Status read_entry(Table& table, std::string_view file, const TomlEntry& entry, Manifest& manifest) {
  if (const auto* python = table.take("python")) return read_python(table, *python, manifest);
  const bool program = table.take("cmake") != nullptr;
  if (program) {
    UMBEL_RETURN_IF_ERROR(table.take_checked("cmake", manifest.cmake, check_folder_inside));
  } else {
    manifest.cmake.clear();
  }
  const std::pair<const char*, std::string*> sides[] = {{"python-server", &manifest.python.server},
                                                        {"python-client", &manifest.python.client}};
  size_t given = 0;
  for (const auto& [key, object] : sides) {
    if (table.take(key) == nullptr) continue;
    UMBEL_RETURN_IF_ERROR(table.take_checked(key, *object, bundle::check_python_object));
    ++given;
  }
  UMBEL_RETURN_IF_ERROR(table.require_no_others());
  if (program && given == 2) {
    return table.wrong(*table.take("cmake"),
                       "both sides are in Python: nothing is left for a program in C++");
  }
  if (program || given == 2) return absl::OkStatus();
  return invalid_argument(
      "{}:{}: [entry]: expected cmake = \".\" for a program in C++, python = \"MODULE\", or "
      "python-server and python-client; one of the latter two goes with cmake",
      file, entry.line);
}

Status read_config(Table& table, std::string_view file, const TomlEntry& config,
                   Manifest& manifest) {
  if (config.children.size() > kSettingsMax) {
    return invalid_argument("{}:{}: [config] has {} keys; the limit is {}", file, config.line,
                            config.children.size(), kSettingsMax);
  }
  for (const TomlEntry& entry : config.children) {
    const bool plain =
        !entry.key.empty() && entry.key.size() <= kNameLengthMax &&
        std::all_of(entry.key.begin(), entry.key.end(), [](char c) {
          return is_alnum(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
        });
    if (!plain)
      return table.wrong(entry,
                         "a key has letters, digits, -, _ and . (then in quotes), at most 64");
    if (!entry.value) {
      return table.wrong(entry, "expected one value, or a list of one kind; got " + entry.kind);
    }
    manifest.config.push_back({entry.key, *entry.value, fmt::format("umbel.toml:{}", entry.line)});
  }
  return absl::OkStatus();
}

Status read_simulation(Table& table, Manifest& manifest) {
  UMBEL_RETURN_IF_ERROR(table.take_integer("nodes", 1, INT64_MAX, manifest.nodes));
  UMBEL_RETURN_IF_ERROR(table.take_integer("seed", 0, INT64_MAX, manifest.seed));
  UMBEL_RETURN_IF_ERROR(table.take_integer("threads", 0, kThreadsMax, manifest.threads));
  return table.require_no_others();
}

// What follows links; a fifo is refused here, since to open one may wait forever.
Status require_regular_file(const std::filesystem::path& file) {
  std::error_code error;
  const std::filesystem::file_type type = std::filesystem::status(file, error).type();
  const std::string shown = escaped(file.string());
  if (type == std::filesystem::file_type::regular) return absl::OkStatus();
  if (type == std::filesystem::file_type::not_found) {
    return not_found(
        "{}: no such file; an app's folder has one, or a pyproject.toml with [tool.flwr.app] "
        "(`umbel "
        "new` makes an app)",
        shown);
  }
  if (type == std::filesystem::file_type::none) {
    return invalid_argument("{}: cannot be read: {}", shown, error.message());
  }
  const bool folder = type == std::filesystem::file_type::directory;
  return invalid_argument("{}: expected a regular file, got {}", shown,
                          folder ? "a folder" : "a device, pipe or socket");
}

}  // namespace

Status check_app_name(std::string_view what, std::string_view name) {
  const bool good =
      !name.empty() && name.size() <= kNameLengthMax && is_alnum(name.front()) &&
      std::all_of(name.begin(), name.end(), [](char c) { return is_alnum(c) || c == '-'; });
  if (good) return absl::OkStatus();
  return invalid_argument(
      "{} \"{}\" has to have 1 to {} of a-z, 0-9 and -, and to start with a letter or digit", what,
      escaped(name.substr(0, 100)), kNameLengthMax);
}

// Numbers with dots, then what a pre-release may have: 1.2.3, 0.1.0-rc.1.
Status check_app_version(const std::string& version) {
  const size_t core = version.find_first_not_of("0123456789.");
  const std::string_view numbers = std::string_view(version).substr(0, core);
  const auto dots = std::count(numbers.begin(), numbers.end(), '.');
  const bool numbers_ok = dots == 2 && numbers.front() != '.' && numbers.back() != '.' &&
                          numbers.find("..") == std::string_view::npos;
  bool rest_ok = core == std::string::npos;
  if (!rest_ok && (version[core] == '-' || version[core] == '+') && core + 1 < version.size()) {
    rest_ok =
        std::all_of(version.begin() + static_cast<ptrdiff_t>(core) + 1, version.end(), [](char c) {
          return is_alnum(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '+';
        });
  }
  if (numbers_ok && rest_ok && version.size() <= kNameLengthMax) return absl::OkStatus();
  return invalid_argument("\"{}\" is no version; expected MAJOR.MINOR.PATCH", escaped(version));
}

Result<Manifest> parse_manifest(std::string_view text, std::string_view file) {
  if (text.size() > kManifestBytesMax) {
    return invalid_argument("{}: longer than the limit of {} bytes", file, kManifestBytesMax);
  }
  UMBEL_ASSIGN_OR_RETURN(const std::vector<TomlEntry> entries, parse_toml(text, file));
  const std::vector<std::string> known = {"app", "entry", "config", "simulation", "population"};
  const TomlEntry* tables[5] = {};
  for (const TomlEntry& entry : entries) {
    const auto at = std::find(known.begin(), known.end(), entry.key);
    if (at == known.end()) {
      return invalid_argument("{}:{}: {}: unknown {}{}", file, entry.line, escaped(entry.key),
                              entry.table ? "table" : "key", did_you_mean(entry.key, known));
    }
    if (!entry.table) {
      return invalid_argument("{}:{}: {}: expected a table, got {}", file, entry.line, entry.key,
                              entry.kind);
    }
    tables[at - known.begin()] = &entry;
  }
  Manifest manifest;
  for (size_t i : {0, 1}) {
    if (tables[i] == nullptr) return invalid_argument("{}:1: [{}]: missing", file, known[i]);
  }
  Table app(file, tables[0], "app"), entry(file, tables[1], "entry"),
      config(file, tables[2], "config"), simulation(file, tables[3], "simulation");
  UMBEL_RETURN_IF_ERROR(read_app(app, manifest));
  UMBEL_RETURN_IF_ERROR(read_entry(entry, file, *tables[1], manifest));
  if (tables[2] != nullptr) {
    UMBEL_RETURN_IF_ERROR(read_config(config, file, *tables[2], manifest));
  }
  UMBEL_RETURN_IF_ERROR(read_simulation(simulation, manifest));
  if (tables[4] != nullptr) {
    UMBEL_ASSIGN_OR_RETURN(manifest.population, population_of(*tables[4], file));
  }
  return manifest;
}

fs::path manifest_file(const fs::path& app) {
  std::error_code error;
  const fs::path own = app / "umbel.toml", other = app / "pyproject.toml";
  if (fs::exists(fs::symlink_status(own, error)) || !fs::is_regular_file(other, error)) return own;
  const Result<std::string> text = read_file(other, kManifestBytesMax);
  return text.ok() && is_flower_manifest(*text) ? other : own;
}

Result<Manifest> read_manifest(const fs::path& app) {
  const fs::path file = manifest_file(app);
  UMBEL_RETURN_IF_ERROR(require_regular_file(file));
  Result<std::string> text = read_file(file, kManifestBytesMax);
  if (!text.ok()) {
    if (text.status().code() != absl::StatusCode::kResourceExhausted) return text.status();
    return invalid_argument("{}", message_of(text.status()));  // the app's mistake, not the disk's
  }
  const std::string shown =
      app == "." ? file.filename().string() : escaped(file.lexically_normal().string());
  return file.filename() == "umbel.toml" ? parse_manifest(*text, shown)
                                         : parse_flower_manifest(*text, shown);
}

}  // namespace umbel::cli
