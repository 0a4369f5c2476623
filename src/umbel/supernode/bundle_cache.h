#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "umbel/base/status.h"
#include "umbel/supernode/app_folder.h"
#include "umbel/supernode/policy.h"

namespace umbel::supernode {

// The bundles that this node has: FOLDER/SHA256/{bundle.umbel,app/,build/}.  Nothing is believed
// because it lies there: every call verifies the archive's hash and signature, the owner's policy,
// and each unpacked file.  Blocking; any threads, one bundle at a time in one of them.
class BundleCache {
 public:
  struct Options {
    std::filesystem::path folder;
    bool build_from_source = false;
    std::string python;  // the interpreter that the node's owner named, or ""
    std::function<void(std::string_view line)> on_build_line;
    size_t bundles_kept = 32;  // of earlier starts: the longest unused are deleted
    size_t bundles_max = 256;
  };
  // Deletes bundles of earlier starts.  `policy` must outlive this.
  BundleCache(Options options, const Policy& policy);

  // NOT_FOUND if the bundle is not here, or was damaged and has been deleted.  PERMISSION_DENIED as
  // Policy::may_run().  FAILED_PRECONDITION if it has no program for this platform, or python_app()
  // finds no interpreter for it.
  Result<App> find(const std::string& sha256);
  // Takes the archive that a hub sent for that hash.  DATA_LOSS if it has another one;
  // INVALID_ARGUMENT as bundle::verify(); RESOURCE_EXHAUSTED beyond bundles_max.  Nothing is
  // written before all of it was verified.
  Result<App> keep(const std::string& sha256, std::span<const std::byte> archive);

 private:
  Result<App> app_of(const bundle::Bundle& bundle) const;
  std::filesystem::path place(const std::string& sha256) const { return options_.folder / sha256; }
  Status make_room() const;

  const Options options_;
  const Policy& policy_;
};

}  // namespace umbel::supernode
