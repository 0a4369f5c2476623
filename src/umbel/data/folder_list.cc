#include "umbel/data/folder_list.h"

#include <algorithm>
#include <system_error>

namespace umbel::data {

namespace fs = std::filesystem;

Result<std::vector<FolderEntry>> list_folder(const fs::path& folder) {
  std::error_code failed;
  fs::directory_iterator at(folder, failed);
  if (failed) return not_found("{}: cannot list: {}", folder.string(), failed.message());
  std::vector<FolderEntry> entries;
  for (; at != fs::directory_iterator(); at.increment(failed)) {
    FolderEntry entry{at->path().filename().string(), at->path()};
    if (entry.name.starts_with('.')) continue;
    if (entries.size() == kFolderEntriesMax) {
      return resource_exhausted("{}: more than the limit of {} entries", folder.string(),
                                kFolderEntriesMax);
    }
    std::error_code broken;
    entry.is_link = at->is_symlink(broken);
    const fs::file_status status = at->status(broken);
    if (broken || status.type() == fs::file_type::not_found) {
      return invalid_argument("{}: a link that leads nowhere", entry.path.string());
    }
    entry.is_folder = fs::is_directory(status);
    if (!entry.is_folder && !fs::is_regular_file(status)) {
      return invalid_argument("{}: neither a file nor a folder", entry.path.string());
    }
    entries.push_back(std::move(entry));
  }
  if (failed) return not_found("{}: cannot list: {}", folder.string(), failed.message());
  std::ranges::sort(entries, {}, &FolderEntry::name);
  return entries;
}

std::string name_of_path(const fs::path& path) {
  return (path.filename().empty() ? path.parent_path() : path).filename().string();
}

}  // namespace umbel::data
