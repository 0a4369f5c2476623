#include "umbel/bundle/source_files.h"

#include <algorithm>

#include "umbel/base/text.h"
#include "umbel/bundle/bundle.h"

namespace umbel::bundle {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kDataBytesMax = 1 << 20;

constexpr std::string_view kSecretEndings[] = {".pem", ".key", ".p12", ".pfx",      ".jks",
                                               ".crt", ".cer", ".der", ".keystore", ".ppk"};
constexpr std::string_view kSecretNames[] = {"id_rsa",     "id_dsa", "id_ecdsa",
                                             "id_ed25519", ".env",   ".netrc"};
constexpr std::string_view kDataEndings[] = {
    ".csv",  ".tsv",         ".npz", ".npy",    ".parquet", ".feather", ".arrow", ".h5",
    ".hdf5", ".jsonl",       ".db",  ".sqlite", ".sqlite3", ".zip",     ".tar",   ".gz",
    ".bz2",  ".xz",          ".zst", ".7z",     ".idx",     "-ubyte",   ".dcm",   ".nii",
    ".pkl",  ".safetensors", ".pt",  ".onnx",   ".mat",     ".xlsx",    ".json"};
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

class Search {
 public:
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
  static bool is_virtual_environment(const fs::directory_entry& folder) {
    std::error_code ignored;
    return fs::is_regular_file(folder.path() / "pyvenv.cfg", ignored);
  }
  Status look_at(const fs::directory_entry& entry, const std::string& prefix, size_t depth) {
    const std::string name = entry.path().filename().string();
    const std::string known = lower(name), path = prefix + name;
    std::error_code error;
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
    if (!error && bytes > kDataBytesMax && ends_with_any(known, kDataEndings)) {
      return refuse(path, fmt::format("data of {} bytes; an app's data stays where it is", bytes));
    }
    if (files.size() == kFilesMax) {
      return refuse(path, fmt::format("there are more than {} files", kFilesMax));
    }
    files.push_back({path, entry.path()});
    return absl::OkStatus();
  }
};

}  // namespace

Result<std::vector<SourceFile>> source_files(const fs::path& app) {
  std::error_code error;
  if (!fs::is_directory(app, error)) return not_found("{}: no such folder", app.string());
  Search search;
  UMBEL_RETURN_IF_ERROR(search.run(app, "", 0));
  return std::move(search.files);
}

}  // namespace umbel::bundle
