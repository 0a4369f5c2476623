#pragma once

#include <filesystem>

#include "hub_client.h"

namespace umbel::cli {

// Gets a run's artifact from its hub so that it appears under `path` whole and with the right hash,
// or not at all.  A transfer that breaks off goes on where it was, a few times.
Status pull_artifact(HubClient& client, int64_t run, const ArtifactEvent& artifact,
                     const std::filesystem::path& path);

}  // namespace umbel::cli
