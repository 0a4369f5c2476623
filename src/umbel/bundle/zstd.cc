#include "umbel/bundle/zstd.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>

#include "umbel/base/check.h"
#include "umbel/base/text.h"

namespace umbel::bundle {

namespace {

constexpr const char* kLevel = "12";  // a window of 4 MiB
constexpr uint32_t kFrameMagic = 0xfd2fb528;
constexpr size_t kBlockBytesMax = 128 << 10;

// Little-endian numbers, taken off the front; what is not there is zero and noted.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}
  uint64_t number(size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i != size && i < bytes_.size(); ++i) {
      value |= std::to_integer<uint64_t>(bytes_[i]) << (8 * i);
    }
    skip(size);
    return value;
  }
  void skip(size_t size) {
    short_ = short_ || size > bytes_.size();
    bytes_ = bytes_.subspan(std::min(size, bytes_.size()));
  }
  bool is_short() const { return short_; }
  size_t left() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
  bool short_ = false;
};

Status wrong(std::string_view why) { return invalid_argument("the archive: {}", why); }

// RFC 8878, 3.1.1.1.
Status check_frame_header(Cursor& cursor, bool& has_checksum) {
  const uint64_t descriptor = cursor.number(1);
  const bool single_segment = (descriptor >> 5 & 1) != 0;
  has_checksum = (descriptor >> 2 & 1) != 0;
  if ((descriptor & 3) != 0) return wrong("a Zstandard frame with a dictionary");
  if ((descriptor >> 3 & 1) != 0) return wrong("a Zstandard frame with a reserved bit");
  uint64_t window = 0;
  if (!single_segment) {
    const uint64_t coded = cursor.number(1);
    const uint64_t base = uint64_t{1} << (10 + (coded >> 3));
    window = base + base / 8 * (coded & 7);
  }
  constexpr size_t kSizes[] = {0, 2, 4, 8};
  const uint64_t flag = descriptor >> 6;
  const size_t size_bytes = flag == 0 && single_segment ? 1 : kSizes[flag];
  const uint64_t content = cursor.number(size_bytes) + (size_bytes == 2 ? 256 : 0);
  if (single_segment) window = content;
  if (window > kWindowBytesMax) {
    return resource_exhausted("the archive: a Zstandard window of {} bytes, the limit is {}",
                              window, kWindowBytesMax);
  }
  return absl::OkStatus();
}

Status failed(archive* handle, std::string_view what) {
  const char* why = archive_error_string(handle);
  return invalid_argument("the archive: {}: {}", what,
                          why == nullptr ? "no reason given" : escaped(why));
}

}  // namespace

Status require_one_frame(std::span<const std::byte> bytes) {
  Cursor cursor(bytes);
  if (cursor.number(4) != kFrameMagic) return wrong("not compressed with Zstandard");
  bool has_checksum = false;
  UMBEL_RETURN_IF_ERROR(check_frame_header(cursor, has_checksum));
  for (bool last = false; !last && !cursor.is_short();) {
    const uint64_t header = cursor.number(3);
    last = (header & 1) != 0;
    const uint64_t type = header >> 1 & 3;  // raw, run-length, compressed
    const auto size = static_cast<size_t>(header >> 3);
    if (type == 3 || size > kBlockBytesMax) return wrong("a damaged Zstandard block");
    cursor.skip(type == 1 ? 1 : size);
  }
  if (has_checksum) cursor.skip(4);
  if (cursor.is_short()) return wrong("cut off");
  if (cursor.left() != 0) {
    return invalid_argument("the archive: {} bytes after its end", cursor.left());
  }
  return absl::OkStatus();
}

struct Compressor::State {
  archive* handle = archive_write_new();
  std::string frame;
  Status status;
  ~State() { archive_write_free(handle); }

  static la_ssize_t write(archive*, void* self, const void* bytes, size_t size) {
    static_cast<State*>(self)->frame.append(static_cast<const char*>(bytes), size);
    return static_cast<la_ssize_t>(size);
  }
  Status open() {
    const auto entry = std::unique_ptr<archive_entry, void (*)(archive_entry*)>(archive_entry_new(),
                                                                                archive_entry_free);
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_pathname(entry.get(), "data");
    const bool ok =
        archive_write_add_filter_zstd(handle) == ARCHIVE_OK &&
        archive_write_set_filter_option(handle, "zstd", "compression-level", kLevel) ==
            ARCHIVE_OK &&
        archive_write_set_format_raw(handle) == ARCHIVE_OK &&
        archive_write_set_bytes_in_last_block(handle, 1) == ARCHIVE_OK &&
        archive_write_open(handle, this, nullptr, &State::write, nullptr) == ARCHIVE_OK &&
        archive_write_header(handle, entry.get()) == ARCHIVE_OK;
    return ok ? absl::OkStatus() : failed(handle, "cannot be compressed");
  }
};

Compressor::Compressor() : state_(std::make_unique<State>()) {
  UMBEL_CHECK(state_->handle != nullptr);
  state_->status = state_->open();
}
Compressor::~Compressor() = default;

Status Compressor::add(std::span<const std::byte> bytes) {
  UMBEL_RETURN_IF_ERROR(state_->status);
  while (!bytes.empty()) {
    const la_ssize_t wrote = archive_write_data(state_->handle, bytes.data(), bytes.size());
    if (wrote <= 0) return failed(state_->handle, "cannot be compressed");
    bytes = bytes.subspan(static_cast<size_t>(wrote));
  }
  return absl::OkStatus();
}

Result<std::string> Compressor::finish() {
  UMBEL_RETURN_IF_ERROR(state_->status);
  if (archive_write_close(state_->handle) != ARCHIVE_OK) {
    return failed(state_->handle, "cannot be compressed");
  }
  return std::move(state_->frame);
}

struct Decompressor::State {
  archive* handle = archive_read_new();
  Status status;
  std::span<const std::byte> kept;
  ~State() { archive_read_free(handle); }

  Status open(std::span<const std::byte> frame) {
    archive_entry* entry = nullptr;
    const bool ok = archive_read_support_filter_zstd(handle) == ARCHIVE_OK &&
                    archive_read_support_format_raw(handle) == ARCHIVE_OK &&
                    archive_read_open_memory(handle, frame.data(), frame.size()) == ARCHIVE_OK &&
                    archive_read_next_header(handle, &entry) == ARCHIVE_OK &&
                    archive_filter_code(handle, 0) == ARCHIVE_FILTER_ZSTD;
    return ok ? absl::OkStatus() : failed(handle, "cannot be decompressed");
  }
};

Decompressor::Decompressor(std::span<const std::byte> frame) : state_(std::make_unique<State>()) {
  UMBEL_CHECK(state_->handle != nullptr);
  state_->status = state_->open(frame);
}
Decompressor::~Decompressor() = default;

Result<std::span<const std::byte>> Decompressor::next(size_t most) {
  UMBEL_RETURN_IF_ERROR(state_->status);
  while (state_->kept.empty()) {
    const void* bytes = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int code = archive_read_data_block(state_->handle, &bytes, &size, &offset);
    if (code == ARCHIVE_EOF) return std::span<const std::byte>();
    if (code != ARCHIVE_OK) {
      return state_->status = failed(state_->handle, "cannot be decompressed");
    }
    state_->kept = {static_cast<const std::byte*>(bytes), size};
  }
  const auto taken = state_->kept.first(std::min(most, state_->kept.size()));
  state_->kept = state_->kept.subspan(taken.size());
  return taken;
}

}  // namespace umbel::bundle
