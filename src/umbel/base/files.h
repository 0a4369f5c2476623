#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "umbel/base/status.h"

namespace umbel {

// The whole file as text; RESOURCE_EXHAUSTED if it is longer than `bytes_max`.
Result<std::string> read_file(const std::filesystem::path& path, size_t bytes_max);

// Writes a file so that under `path` there is, at any moment and after any crash, either what was
// there before or the whole of the new content: a temporary file beside it, synced, then renamed.
// Who may read it is for `mode` to say, less the process's umask.
// On failure (a full disk, say) the temporary file is removed and `path` is as it was.
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::filesystem::path& path, unsigned mode = 0666);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();  // an uncommitted file is removed

  Status write(std::span<const std::byte> bytes);
  Status write(std::string_view text) { return write(std::as_bytes(std::span(text))); }
  // Syncs and renames into place.
  Status commit();

 private:
  AtomicFile(std::filesystem::path path, std::filesystem::path temporary, int descriptor)
      : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_;
};

Status write_file_atomic(const std::filesystem::path& path, std::string_view text);

// $UMBEL_HOME, by default ~/.umbel, or .umbel here where there is no $HOME; absolute.  Not created.
std::filesystem::path umbel_home();

}  // namespace umbel
