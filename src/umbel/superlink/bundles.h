#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "umbel/base/shared_blob.h"
#include "umbel/bundle/bundle.h"

namespace umbel::superlink {

// The app bundles that this hub has, as files under FOLDER/SHA256.umbel.  Any thread.
class Bundles {
 public:
  explicit Bundles(std::filesystem::path folder) : folder_(std::move(folder)) {}
  Status make_folder();

  // NOT_FOUND; INVALID_ARGUMENT if `sha256` is no hash.
  Result<std::filesystem::path> find(const std::string& sha256) const;
  // Verifies the archive and keeps it.
  Result<bundle::Bundle> put(const std::string& sha256, std::string_view archive);
  // What is in it; read and verified anew.
  Result<bundle::Bundle> info(const std::string& sha256) const;
  // Unpacks it into `folder`, which must not exist.
  Result<bundle::Bundle> unpack(const std::string& sha256,
                                const std::filesystem::path& folder) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace umbel::superlink
