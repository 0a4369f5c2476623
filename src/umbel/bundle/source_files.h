#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "umbel/base/status.h"

namespace umbel::bundle {

// A file that travels: its path in the bundle, and where it lies.
struct SourceFile {
  std::string path;
  std::filesystem::path place;
};

// The files of an app's folder that make its bundle, by the rules of pack().
Result<std::vector<SourceFile>> source_files(const std::filesystem::path& app);

}  // namespace umbel::bundle
