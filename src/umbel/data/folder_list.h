#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "umbel/base/status.h"

namespace umbel::data {

inline constexpr size_t kFolderEntriesMax = size_t{1} << 24;  // of one folder

struct FolderEntry {
  std::string name;
  std::filesystem::path path;
  bool is_folder = false;
  bool is_link = false;  // a symbolic link; is_folder is about what it leads to
};

// What is in a folder, in the order of the names' bytes, without what starts with a dot.  Links are
// followed, one level: who goes deeper does so by name.  INVALID_ARGUMENT, with the path, for what
// is neither file nor folder (a pipe, a device, a link to nothing or to itself), NOT_FOUND if there
// is no such folder, RESOURCE_EXHAUSTED beyond the limit.
Result<std::vector<FolderEntry>> list_folder(const std::filesystem::path& folder);

// The last name of a path, whether or not a slash follows it.
std::string name_of_path(const std::filesystem::path& path);

}  // namespace umbel::data
