#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "umbel/bundle/walk.h"

namespace umbel::bundle {

namespace fs = std::filesystem;

namespace {

Status failed(const fs::path& path, std::string_view what) {
  const std::string why = std::strerror(errno);
  return unavailable("{}: {}: {}", path.string(), what, why);
}

// A folder beside the one to come, removed unless it was renamed to it.
class NewFolder final : public FileSink {
 public:
  explicit NewFolder(fs::path target) : target_(std::move(target)) {}
  ~NewFolder() override {
    if (file_ >= 0) ::close(file_);
    std::error_code ignored;
    if (!made_.empty()) fs::remove_all(made_, ignored);
  }

  Status create() {
    std::error_code error;
    fs::create_directories(target_.parent_path(), error);
    std::string pattern = target_.string() + ".tmp-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) return failed(target_, "cannot make a folder there");
    made_ = pattern;
    if (::chmod(made_.c_str(), 0755) != 0) return failed(made_, "cannot set its mode");
    return absl::OkStatus();
  }

  Status begin(const Bundle::File& file) override {
    path_ = made_ / file.path;
    std::error_code error;
    fs::create_directories(path_.parent_path(), error);
    constexpr int kNew = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    file_ = ::open(path_.c_str(), kNew, 0600);
    if (file_ < 0) return failed(path_, "cannot create");
    if (::fchmod(file_, file.executable ? 0755 : 0644) != 0) {
      return failed(path_, "cannot set its mode");
    }
    return absl::OkStatus();
  }
  Status take(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t wrote = ::write(file_, bytes.data(), bytes.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) {
        const std::string why = std::strerror(errno);
        return resource_exhausted("{}: cannot write: {}; nothing was kept", path_.string(), why);
      }
      bytes = bytes.subspan(static_cast<size_t>(wrote));
    }
    return absl::OkStatus();
  }
  Status end() override {
    const int file = std::exchange(file_, -1);
    return ::close(file) == 0 ? absl::OkStatus() : failed(path_, "cannot write");
  }

  // On disk first, then under its name; ALREADY_EXISTS if something else came there meanwhile.
  Status commit() {
    const int folder = ::open(made_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = folder >= 0 && ::syncfs(folder) == 0;
    const Status status = synced ? absl::OkStatus() : failed(made_, "cannot sync to disk");
    if (folder >= 0) ::close(folder);
    UMBEL_RETURN_IF_ERROR(status);
    if (::renameat2(AT_FDCWD, made_.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE) != 0) {
      if (errno == EEXIST) return exists(target_);
      return failed(target_, "cannot rename into place");
    }
    made_.clear();
    const int parent = ::open(target_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0) {
      ::fsync(parent);  // the bytes are there already: only the name could still be lost
      ::close(parent);
    }
    return absl::OkStatus();
  }
  static Status exists(const fs::path& target) {
    return absl::AlreadyExistsError(fmt::format("{}: is there already", target.string()));
  }

 private:
  fs::path target_, made_, path_;
  int file_ = -1;
};

}  // namespace

Result<Bundle> unpack(std::span<const std::byte> archive, const fs::path& folder) {
  UMBEL_RETURN_IF_ERROR(verify(archive).status());
  std::error_code error;
  fs::path target = fs::absolute(folder, error).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  if (fs::exists(fs::symlink_status(target, error))) return NewFolder::exists(target);
  NewFolder made(target);
  UMBEL_RETURN_IF_ERROR(made.create());
  UMBEL_ASSIGN_OR_RETURN(Bundle bundle, walk(archive, made));
  UMBEL_RETURN_IF_ERROR(made.commit());
  return bundle;
}

}  // namespace umbel::bundle
