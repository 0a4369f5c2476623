#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "umbel/base/status.h"

namespace umbel::bundle {

// A file that travels: its path in the bundle, and where it lies.
struct SourceFile {
  std::string path;
  std::filesystem::path place;
  uint64_t bytes = 0;
  bool is_data_like = false;  // by its name: data or a model
};

// What an app's folder has in its root to leave files out of its bundle: a name or a pattern with *
// and ? a line, as paths within the folder or as names anywhere; # begins a comment.
constexpr const char* kIgnoreFile = ".umbelignore";

// The files of an app's folder that make its bundle, by the rules of pack().
Result<std::vector<SourceFile>> source_files(const std::filesystem::path& app);

}  // namespace umbel::bundle
