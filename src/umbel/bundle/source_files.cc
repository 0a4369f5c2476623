#include "umbel/bundle/source_files.h"

#include <fnmatch.h>

#include <algorithm>
#include <sstream>

#include "umbel/base/files.h"
#include "umbel/base/text.h"
#include "umbel/bundle/bundle.h"

namespace umbel::bundle {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kDataBytesMax = 1 << 20;
constexpr size_t kIgnoreBytesMax = 64 << 10;

constexpr std::string_view kSecretEndings[] = {".pem", ".key", ".p12", ".pfx",      ".jks",
                                               ".crt", ".cer", ".der", ".keystore", ".ppk"};
constexpr std::string_view kSecretNames[] = {"id_rsa",     "id_dsa", "id_ecdsa",
                                             "id_ed25519", ".env",   ".netrc"};
constexpr std::string_view kDataEndings[] = {
    ".csv",    ".tsv",         ".npz",    ".npy",    ".parquet", ".feather", ".arrow", ".h5",
    ".hdf5",   ".jsonl",       ".db",     ".sqlite", ".sqlite3", ".zip",     ".tar",   ".gz",
    ".bz2",    ".xz",          ".zst",    ".7z",     ".idx",     "-ubyte",   ".dcm",   ".nii",
    ".pkl",    ".safetensors", ".pt",     ".onnx",   ".mat",     ".xlsx",    ".json",  ".pth",
    ".pickle", ".ckpt",        ".joblib", ".keras",  ".tflite",  ".rds"};
constexpr std::string_view kLeavings[] = {"~",    ".bak", ".orig", ".rej",
                                          ".swp", ".pyc", ".user", ".egg-info"};

template <size_t N>
bool ends_with_any(std::string_view name, const std::string_view (&endings)[N]) {
  return std::any_of(std::begin(endings), std::end(endings),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

bool is_secret(const std::string& name) {
  return ends_with_any(name, kSecretEndings) || name.starts_with(".env.") ||
         std::find(std::begin(kSecretNames), std::end(kSecretNames), name) !=
             std::end(kSecretNames);
}

// "run-7", "run-7.html", "run-hospitals-7": what `umbel pull` and `umbel report` write into an
// app's folder.
bool is_run_output(std::string_view name) {
  if (!name.starts_with("run-")) return false;
  if (name.ends_with(".html")) name.remove_suffix(5);
  const size_t dash = name.rfind('-');
  const std::string_view number = name.substr(dash + 1);
  return !number.empty() &&
         std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; });
}

// The patterns of the folder's ignore file, if it has one.
Result<std::vector<std::string>> ignored_patterns(const fs::path& app) {
  std::error_code error;
  if (!fs::exists(app / kIgnoreFile, error)) return std::vector<std::string>();
  UMBEL_ASSIGN_OR_RETURN(const std::string text, read_file(app / kIgnoreFile, kIgnoreBytesMax));
  std::vector<std::string> patterns;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    line.erase(std::min(line.find('#'), line.size()));
    line.erase(line.find_last_not_of(" \t\r/") + 1);
    line.erase(0, line.find_first_not_of(" \t"));
    if (!line.empty()) patterns.push_back(std::move(line));
  }
  return patterns;
}

class Search {
 public:
  explicit Search(std::vector<std::string> ignored) : ignored_(std::move(ignored)) {}

  Status run(const fs::path& folder, const std::string& prefix, size_t depth) {
    if (depth > kDepthMax) return refuse(prefix, "more folders within each other than may be");
    std::error_code error;
    fs::directory_iterator entries(folder, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
      UMBEL_RETURN_IF_ERROR(look_at(*entries, prefix, depth));
    }
    if (error) return unavailable("{}: cannot read: {}", folder.string(), error.message());
    return absl::OkStatus();
  }
  std::vector<SourceFile> files;

 private:
  static Status refuse(const std::string& path, std::string_view why) {
    return failed_precondition("{}: must not travel in a bundle: {}", escaped(path), why);
  }
  bool is_ignored(const std::string& name, const std::string& path) const {
    return std::ranges::any_of(ignored_, [&](const std::string& pattern) {
      return fnmatch(pattern.c_str(), name.c_str(), 0) == 0 ||
             fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0;
    });
  }
  static bool is_virtual_environment(const fs::directory_entry& folder) {
    std::error_code ignored;
    return fs::is_regular_file(folder.path() / "pyvenv.cfg", ignored);
  }
  Status look_at(const fs::directory_entry& entry, const std::string& prefix, size_t depth) {
    const std::string name = entry.path().filename().string();
    const std::string known = lower(name), path = prefix + name;
    std::error_code error;
    if (is_ignored(name, path)) return absl::OkStatus();
    const fs::file_type type = entry.symlink_status(error).type();
    if (type != fs::file_type::directory && is_secret(known)) {
      return refuse(path, "it looks like a key or a password");
    }
    const bool is_build = depth == 0 && name == "build";
    const bool is_output = depth == 0 && is_run_output(name);
    const bool is_left = name.starts_with('.') || ends_with_any(known, kLeavings) ||
                         (name.starts_with('#') && name.ends_with('#'));
    if (is_left || is_build || is_output || name == "__pycache__") return absl::OkStatus();
    if (type == fs::file_type::directory && is_virtual_environment(entry)) return absl::OkStatus();
    if (type == fs::file_type::directory) return run(entry.path(), path + "/", depth + 1);
    if (type == fs::file_type::symlink) return refuse(path, "a symbolic link");
    if (type != fs::file_type::regular) return refuse(path, "not a regular file");
    const uint64_t bytes = entry.file_size(error);
    const bool is_data = ends_with_any(known, kDataEndings);
    if (!error && bytes > kDataBytesMax && is_data) {
      return refuse(path, fmt::format("data of {} bytes; an app's data stays where it is", bytes));
    }
    if (files.size() == kFilesMax) {
      return refuse(path, fmt::format("there are more than {} files", kFilesMax));
    }
    // Small JSON is what settings are written in.
    files.push_back({path, entry.path(), bytes, is_data && !known.ends_with(".json")});
    return absl::OkStatus();
  }

  std::vector<std::string> ignored_;
};

}  // namespace

Result<std::vector<SourceFile>> source_files(const fs::path& app) {
  std::error_code error;
  if (!fs::is_directory(app, error)) return not_found("{}: no such folder", app.string());
  UMBEL_ASSIGN_OR_RETURN(auto ignored, ignored_patterns(app));
  Search search(std::move(ignored));
  UMBEL_RETURN_IF_ERROR(search.run(app, "", 0));
  return std::move(search.files);
}

}  // namespace umbel::bundle
