#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "child.h"
#include "commands.h"
#include "find_run.h"
#include "hub_artifacts.h"
#include "text_format.h"
#include "umbel/base/files.h"
#include "umbel/base/sha256.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

constexpr size_t kChunkBytes = 1 << 20;

// Copies one artifact so that it appears under its name whole and with the right hash, or not at
// all.
Status copy_artifact(const fs::path& from, const fs::path& to, const ArtifactEvent& artifact) {
  const Descriptor source(open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat found {};
  if (source.get() < 0 || fstat(source.get(), &found) != 0 || !S_ISREG(found.st_mode)) {
    return data_loss("{}: the run's file is gone, or is no plain file", from.string());
  }
  UMBEL_ASSIGN_OR_RETURN(AtomicFile target, AtomicFile::create(to));
  Sha256 hash;
  int64_t bytes = 0;
  std::vector<std::byte> chunk(kChunkBytes);
  ssize_t got = 0;
  while ((got = read(source.get(), chunk.data(), chunk.size())) > 0) {
    const std::span<const std::byte> part(chunk.data(), static_cast<size_t>(got));
    hash.add(part);
    bytes += got;
    UMBEL_RETURN_IF_ERROR(target.write(part));
  }
  if (got < 0) return unavailable("{}: cannot read: {}", from.string(), std::strerror(errno));
  if (const std::string digits = hash.hex(); digits != artifact.sha256 || bytes != artifact.bytes) {
    return data_loss(
        "{}: changed since the run wrote it: {} bytes of SHA-256 {}, expected {} of {}",
        from.string(), bytes, digits, artifact.bytes, artifact.sha256);
  }
  return target.commit();
}

Status make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return absl::OkStatus();
  return unavailable("{}: cannot make this folder: {}", folder.string(), error.message());
}

Status check_targets(const std::vector<ArtifactEvent>& artifacts, const fs::path& folder,
                     bool force) {
  for (const ArtifactEvent& artifact : artifacts) {
    UMBEL_RETURN_IF_ERROR(check_artifact_name(artifact.name));
    std::error_code ignored;
    if (!force && fs::exists(fs::symlink_status(folder / artifact.name, ignored))) {
      return failed_precondition("{}: is there already; --force overwrites it",
                                 (folder / artifact.name).string());
    }
  }
  return absl::OkStatus();
}

Result<std::vector<ArtifactEvent>> pull(FoundRun& found, const fs::path& folder, bool force) {
  UMBEL_ASSIGN_OR_RETURN(const auto artifacts, found.history.artifacts(found.run.id));
  if (artifacts.empty()) {
    return failed_precondition("run {}: it left no artifacts; its status is {}", found.run.id,
                               found.run.status);
  }
  UMBEL_RETURN_IF_ERROR(check_targets(artifacts, folder, force));
  UMBEL_RETURN_IF_ERROR(make_folder(folder));
  for (const ArtifactEvent& artifact : artifacts) {
    UMBEL_RETURN_IF_ERROR(copy_artifact(fs::path(found.run.folder) / artifact.name,
                                        folder / artifact.name, artifact));
  }
  return artifacts;
}

Result<std::vector<ArtifactEvent>> pull_from_hub(const PullOptions& options,
                                                 const fs::path& folder) {
  UMBEL_ASSIGN_OR_RETURN(HubClient client, HubClient::open(options.link));
  UMBEL_ASSIGN_OR_RETURN(const auto artifacts, client.artifacts(options.run));
  if (artifacts.empty()) return failed_precondition("run {}: it left no artifacts", options.run);
  UMBEL_RETURN_IF_ERROR(check_targets(artifacts, folder, options.force));
  UMBEL_RETURN_IF_ERROR(make_folder(folder));
  for (const ArtifactEvent& artifact : artifacts) {
    UMBEL_RETURN_IF_ERROR(pull_artifact(client, options.run, artifact, folder / artifact.name));
  }
  return artifacts;
}

Result<std::vector<ArtifactEvent>> pull_from_here(const PullOptions& options,
                                                  const fs::path& folder) {
  UMBEL_ASSIGN_OR_RETURN(FoundRun found, find_run(options.run, ""));
  return pull(found, folder, options.force);
}

}  // namespace

int run_pull(const PullOptions& given, const Output& output) {
  PullOptions options = given;
  const auto chosen = run_or_latest(given.run);
  if (!chosen.ok()) return output.fail(chosen.status());
  options.run = *chosen;
  const fs::path folder = options.to.empty() ? fmt::format("run-{}", options.run) : options.to;
  const auto artifacts =
      options.link.empty() ? pull_from_here(options, folder) : pull_from_hub(options, folder);
  if (!artifacts.ok()) return output.fail_on(options.link, artifacts.status());
  Json list = Json::array();
  for (const ArtifactEvent& artifact : *artifacts) {
    const std::string path = (folder / artifact.name).string();
    output.say(fmt::format("{} ({}, sha256 {})", path, bytes_text(artifact.bytes),
                           artifact.sha256.substr(0, 16)));
    list.push_back({{"path", fs::absolute(path).lexically_normal().string()},
                    {"bytes", artifact.bytes},
                    {"sha256", artifact.sha256}});
  }
  output.result({{"run-id", options.run}, {"artifacts", list}});
  return kDone;
}

}  // namespace umbel::cli
