#include "umbel/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace umbel {

namespace {

std::string reason() { return std::strerror(errno); }

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, size_t bytes_max) {
  // Without O_NONBLOCK to open a pipe that nobody writes to would never return.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return not_found("{}: cannot open: {}", path.string(), reason());
  struct stat kind {};
  if (::fstat(descriptor, &kind) == 0 && S_ISFIFO(kind.st_mode)) {
    ::close(descriptor);
    return invalid_argument("{}: a pipe, expected a file", path.string());
  }
  std::string text;
  char chunk[65536];
  ssize_t got = 0;
  while ((got = ::read(descriptor, chunk, sizeof chunk)) > 0 || (got < 0 && errno == EINTR)) {
    if (got < 0) continue;
    text.append(chunk, static_cast<size_t>(got));
    if (text.size() > bytes_max) break;
  }
  const std::string failure = got < 0 ? reason() : "";
  ::close(descriptor);
  if (got < 0) return unavailable("{}: cannot read: {}", path.string(), failure);
  if (text.size() > bytes_max) {
    return resource_exhausted("{}: longer than the limit of {} bytes", path.string(), bytes_max);
  }
  return text;
}

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path, unsigned mode) {
  static std::atomic<uint64_t> counter{0};
  constexpr int kTries = 1000;  // names that a killed process or another machine left behind
  for (int i = 0; i != kTries; ++i) {
    std::string temporary = fmt::format("{}.tmp-{}-{}", path.string(), ::getpid(), ++counter);
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (descriptor >= 0) return AtomicFile(path, std::move(temporary), descriptor);
    if (errno != EEXIST) break;
  }
  return unavailable("{}: cannot create a temporary file beside it: {}", path.string(), reason());
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(descriptor_, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      const std::string why = reason();
      return resource_exhausted("{}: cannot write: {}; nothing was kept", path_.string(), why);
    }
    bytes = bytes.subspan(static_cast<size_t>(wrote));
  }
  return absl::OkStatus();
}

Status AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) {
    return unavailable("{}: cannot sync to disk: {}", path_.string(), reason());
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return unavailable("{}: cannot rename into place: {}", path_.string(), reason());
  }
  ::close(std::exchange(descriptor_, -1));
  return absl::OkStatus();
}

Status write_file_atomic(const std::filesystem::path& path, std::string_view text) {
  UMBEL_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  UMBEL_RETURN_IF_ERROR(file.write(text));
  return file.commit();
}

std::filesystem::path umbel_home() {
  std::filesystem::path home = ".umbel";
  if (const char* named = std::getenv("UMBEL_HOME"); named && *named) {
    home = named;
  } else if (const char* user = std::getenv("HOME"); user && *user) {
    home = std::filesystem::path(user) / ".umbel";
  }
  // The programs that are told of it have working folders of their own.
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(home, error);
  return error ? home : absolute;
}

}  // namespace umbel
