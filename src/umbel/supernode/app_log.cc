#include "umbel/supernode/app_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "umbel/base/text.h"
#include "umbel/supernode/log.h"

namespace umbel::supernode {

namespace fs = std::filesystem;

namespace {

Result<Descriptor> open_log(const fs::path& path) {
  Descriptor file(
      ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return unavailable("{}: {}", path.string(), std::strerror(errno));
  return file;
}

}  // namespace

Result<std::unique_ptr<AppLog>> AppLog::open(const fs::path& path, uint64_t bytes_max) {
  std::error_code ignored;
  fs::create_directories(path.parent_path(), ignored);  // open() below tells what is wrong
  UMBEL_ASSIGN_OR_RETURN(Descriptor file, open_log(path));
  struct stat status {};
  const uint64_t size = fstat(file.get(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
  return std::unique_ptr<AppLog>(new AppLog(path, bytes_max, std::move(file), size));
}

void AppLog::rotate() {
  std::error_code error;
  fs::rename(path_, path_.string() + ".1", error);
  if (error) return;
  auto file = open_log(path_);
  if (!file.ok()) return;
  file_ = *std::move(file);
  size_ = 0;
}

void AppLog::write(std::string_view what, std::string_view line) {
  const std::string text = fmt::format("{} {}: {}\n", utc_now(), escaped(what), escaped(line));
  absl::MutexLock lock(&mutex_);
  if (size_ + text.size() > bytes_max_) rotate();
  if (size_ + text.size() > bytes_max_) return;  // it could not be rotated
  const ssize_t written = ::write(file_.get(), text.data(), text.size());
  if (written > 0) size_ += static_cast<uint64_t>(written);
}

void prune_logs(const fs::path& folder, size_t runs) {
  std::vector<std::pair<fs::file_time_type, fs::path>> logs;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".log" || !entry.is_regular_file(error)) continue;
    logs.emplace_back(entry.last_write_time(error), entry.path());
  }
  if (logs.size() <= runs) return;
  std::sort(logs.begin(), logs.end());
  for (size_t i = 0; i != logs.size() - runs; ++i) {
    fs::remove(logs[i].second, error);
    fs::remove(logs[i].second.string() + ".1", error);
  }
}

}  // namespace umbel::supernode
