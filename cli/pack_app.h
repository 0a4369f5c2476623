#pragma once

#include <filesystem>
#include <string>

#include "manifest.h"
#include "umbel/base/keys.h"

namespace umbel::cli {

// An app's bundle as it lies in APP/build/NAME-VERSION.umbel.
struct PackedApp {
  std::filesystem::path path;
  std::string archive, sha256;
  PublicKey publisher;
  std::vector<std::pair<std::string, uint64_t>> data_like;  // files by their names, and bytes
};

// A line, or "": which of the bundle's files look like data or a model.
std::string data_like_text(const PackedApp& packed);

// Packs the app's folder with its built program, if it has one, signed with $UMBEL_HOME/user.key,
// which is made when it is first needed.  FAILED_PRECONDITION names the file that must not travel.
Result<PackedApp> pack_app(const std::filesystem::path& app, const Manifest& manifest,
                           const std::filesystem::path& program);

}  // namespace umbel::cli
