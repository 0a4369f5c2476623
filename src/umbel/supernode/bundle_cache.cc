#include "umbel/supernode/bundle_cache.h"

#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <vector>

#include "umbel/base/buffer.h"
#include "umbel/base/files.h"
#include "umbel/base/sha256.h"
#include "umbel/supernode/log.h"

namespace umbel::supernode {

namespace fs = std::filesystem;

namespace {

constexpr const char* kArchive = "bundle.umbel";
constexpr const char* kApp = "app";
constexpr size_t kHexDigits = 64;

Status check_hash(const std::string& sha256) {
  const bool good = sha256.size() == kHexDigits &&
                    sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  return good ? absl::OkStatus()
              : invalid_argument("bundle: its SHA-256 is to have {} digits", kHexDigits);
}

// Whether what was unpacked is still what the bundle says.
bool is_whole(const bundle::Bundle& bundle, const fs::path& app) {
  for (const auto& file : bundle.files) {
    const fs::path path = app / file.path;
    std::error_code error;
    if (!fs::is_regular_file(fs::symlink_status(path, error)) ||
        fs::file_size(path, error) != file.bytes) {
      return false;
    }
    const auto text = read_file(path, bundle::kUnpackedBytesMax);
    if (!text.ok() || sha256_hex(std::as_bytes(std::span(*text))) != file.sha256) return false;
    if ((access(path.c_str(), X_OK) == 0) != file.executable) return false;
  }
  return true;
}

std::vector<std::pair<fs::file_time_type, fs::path>> folders_in(const fs::path& folder) {
  std::vector<std::pair<fs::file_time_type, fs::path>> folders;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_directory(error)) folders.emplace_back(entry.last_write_time(error), entry.path());
  }
  return folders;
}

}  // namespace

BundleCache::BundleCache(Options options, const Policy& policy)
    : options_(std::move(options)), policy_(policy) {
  auto folders = folders_in(options_.folder);
  std::sort(folders.begin(), folders.end());
  std::error_code ignored;
  for (size_t i = 0; i + options_.bundles_kept < folders.size(); ++i) {
    fs::remove_all(folders[i].second, ignored);
  }
}

Result<App> BundleCache::find(const std::string& sha256) {
  UMBEL_RETURN_IF_ERROR(check_hash(sha256));
  const fs::path folder = place(sha256);
  const auto archive = read_file(folder / kArchive, bundle::kArchiveBytesMax);
  const auto damaged = [&](std::string_view what) {
    log_warn("bundle: damaged, to be fetched anew sha256={} what=\"{}\"", sha256, what);
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    return not_found("bundle {}: {}", sha256, what);
  };
  std::error_code ignored;
  if (!archive.ok()) {
    if (!fs::exists(folder, ignored)) return not_found("bundle {}: not here", sha256);
    return damaged("the archive cannot be read");
  }
  const auto bytes = std::as_bytes(std::span(*archive));
  if (sha256_hex(bytes) != sha256) return damaged("the archive has another hash");
  const auto bundle = bundle::verify(bytes);
  if (!bundle.ok()) return damaged(message_of(bundle.status()));
  if (!is_whole(*bundle, folder / kApp)) return damaged("an unpacked file was changed");
  UMBEL_RETURN_IF_ERROR(policy_.may_run(*bundle));
  fs::last_write_time(folder, fs::file_time_type::clock::now(), ignored);
  return app_of(*bundle);
}

Result<App> BundleCache::keep(const std::string& sha256, std::span<const std::byte> archive) {
  UMBEL_RETURN_IF_ERROR(check_hash(sha256));
  const std::string found = sha256_hex(archive);
  if (found != sha256) {
    return data_loss("bundle: the hub sent one of SHA-256 {}, for a run of {}", found, sha256);
  }
  UMBEL_ASSIGN_OR_RETURN(const bundle::Bundle bundle, bundle::verify(archive));
  UMBEL_RETURN_IF_ERROR(policy_.may_run(bundle));
  UMBEL_RETURN_IF_ERROR(make_room());
  const fs::path folder = place(sha256);
  std::error_code error;
  fs::remove_all(folder, error);
  fs::create_directories(folder, error);
  if (error) return unavailable("{}: {}", folder.string(), error.message());
  const auto unpacked = bundle::unpack(archive, folder / kApp);
  if (!unpacked.ok()) return unpacked.status();
  const std::string_view text(reinterpret_cast<const char*>(archive.data()), archive.size());
  UMBEL_RETURN_IF_ERROR(write_file_atomic(folder / kArchive, text));
  return app_of(bundle);
}

Result<App> BundleCache::app_of(const bundle::Bundle& bundle) const {
  const fs::path folder = place(bundle.sha256);
  const std::string id = bundle.description.id();
  if (const auto& python = bundle.description.python; !python.client.empty()) {
    return python_app(id, python, folder / kApp, options_.python);
  }
  const std::string platform = bundle::this_platform();
  if (const std::string* program = bundle.program_for(platform)) {
    return program_app(id, folder / kApp / *program, folder / kApp);
  }
  if (!options_.build_from_source) {
    return failed_precondition(
        "{}: it has no program for {}, and the node's owner does not let it be built here "
        "(--build-from-source)",
        id, platform);
  }
  const auto on_line = [this](std::string_view line) {
    if (options_.on_build_line) options_.on_build_line(line);
  };
  const auto program = build_program(folder / kApp, folder / "build", on_line);
  if (!program.ok()) return annotate(program.status(), "building " + id);
  return program_app(id, *program, folder / kApp);
}

Status BundleCache::make_room() const {
  if (folders_in(options_.folder).size() < options_.bundles_max) return absl::OkStatus();
  return resource_exhausted("the node has {} bundles; the next start deletes unused ones",
                            options_.bundles_max);
}

}  // namespace umbel::supernode
