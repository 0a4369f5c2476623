#include "hub_artifacts.h"

#include "umbel/base/files.h"
#include "umbel/base/sha256.h"

namespace umbel::cli {

namespace {

constexpr int kBreaksMax = 5;  // in a row, without a byte in between

}  // namespace

Status pull_artifact(HubClient& client, int64_t run, const ArtifactEvent& artifact,
                     const std::filesystem::path& path) {
  UMBEL_RETURN_IF_ERROR(check_artifact_name(artifact.name));
  UMBEL_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  Sha256 hash;
  const auto total = static_cast<uint64_t>(artifact.bytes);
  uint64_t done = 0;
  const auto take = [&](std::span<const std::byte> bytes) -> Status {
    if (bytes.size() > total - done) {
      return data_loss("{}: more than the {} bytes that it has", artifact.name, total);
    }
    hash.add(bytes);
    done += bytes.size();
    return file.write(bytes);
  };
  for (int breaks = 0; done != total;) {
    const uint64_t before = done;
    const auto moved = client.download(run, artifact, done, take);
    breaks = done > before ? 0 : breaks + 1;
    const auto code = moved.status.code();
    const bool again =
        code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kUnauthenticated;
    if (done != total && !moved.status.ok() && (!again || breaks > kBreaksMax)) {
      return annotate(moved.status, artifact.name);
    }
    if (done != total && moved.status.ok()) {
      return data_loss("{}: the hub sent {} of its {} bytes", artifact.name, done, total);
    }
  }
  if (const std::string digits = hash.hex(); digits != artifact.sha256) {
    return data_loss("{}: came with SHA-256 {}, the hub said {}", artifact.name, digits,
                     artifact.sha256);
  }
  return file.commit();
}

}  // namespace umbel::cli
