#include "umbel/record/npz.h"

#include <libdeflate.h>
#include <zip.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "umbel/base/files.h"
#include "umbel/base/text.h"
#include "umbel/record/npy.h"
#include "umbel/record/npz_source.h"

namespace umbel {

namespace {

constexpr std::string_view kSuffix = ".npy";
constexpr uint64_t kLocalHeader = 30;  // bytes before an entry's name: PKWARE's APPNOTE, 4.3.7
constexpr zip_uint16_t kDosMidnight = 0;
constexpr zip_uint16_t kDosNewYear1980 = 1 << 5 | 1;
// An archive without entries, which libzip will not write: its end-of-directory record alone.
constexpr std::string_view kEmptyArchive("PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22);

struct Close {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* file) const { zip_fclose(file); }
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Archive = std::unique_ptr<zip_t, Close>;
using EntryFile = std::unique_ptr<zip_file_t, Close>;
using Source = std::unique_ptr<zip_source_t, Close>;

// A libzip error as text; frees what it holds.
class ZipError {
 public:
  ZipError() { zip_error_init(&error_); }
  ~ZipError() { zip_error_fini(&error_); }
  ZipError(const ZipError&) = delete;
  zip_error_t* get() { return &error_; }
  std::string text() { return zip_error_strerror(&error_); }

 private:
  zip_error_t error_;
};

struct Entry {
  zip_uint64_t index;
  std::string name;  // without .npy
  zip_uint64_t bytes;
  zip_uint32_t crc;
  bool stored;
};

Result<Entry> entry_of(zip_t* archive, zip_uint64_t index) {
  zip_stat_t info;
  zip_stat_init(&info);
  constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_CRC |
                                   ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if (zip_stat_index(archive, index, 0, &info) != 0 || (info.valid & kNeeded) != kNeeded) {
    return invalid_argument("npz: entry {}: {}", index, zip_strerror(archive));
  }
  const std::string_view name(info.name);
  if (name.size() < kSuffix.size() || name.substr(name.size() - kSuffix.size()) != kSuffix) {
    return invalid_argument("npz: entry \"{}\" is not named *.npy", escaped(name));
  }
  if (info.encryption_method != ZIP_EM_NONE) {
    return invalid_argument("npz: entry \"{}\" is encrypted", escaped(name));
  }
  if (info.comp_method != ZIP_CM_STORE && info.comp_method != ZIP_CM_DEFLATE) {
    return invalid_argument("npz: entry \"{}\" is compressed by method {}, expected 0 or 8",
                            escaped(name), info.comp_method);
  }
  return Entry{index, std::string(name.substr(0, name.size() - kSuffix.size())), info.size,
               info.crc, info.comp_method == ZIP_CM_STORE};
}

// All entries, checked against one another and the limits; nothing is unpacked yet.
Result<std::vector<Entry>> directory_of(zip_t* archive, size_t archive_bytes) {
  const auto count = static_cast<zip_uint64_t>(zip_get_num_entries(archive, 0));
  if (count > kNpzEntriesMax) {
    return resource_exhausted("npz: {} entries, the limit is {}", count, kNpzEntriesMax);
  }
  const uint64_t bytes_max =
      std::min(kNpzBytesMax, std::max(kNpzSmallBytes, kNpzRatioMax * archive_bytes));
  uint64_t bytes = 0;
  std::vector<Entry> entries;
  entries.reserve(count);
  std::unordered_set<std::string> names;
  for (zip_uint64_t i = 0; i != count; ++i) {
    UMBEL_ASSIGN_OR_RETURN(Entry entry, entry_of(archive, i));
    if (!names.insert(entry.name).second) {
      return invalid_argument("npz: entry \"{}.npy\" appears twice", escaped(entry.name));
    }
    if (entry.bytes > bytes_max - bytes) {
      return resource_exhausted(
          "npz: entry \"{}.npy\" takes the total past {} bytes, the limit for an archive of {}",
          escaped(entry.name), bytes_max, archive_bytes);
    }
    bytes += entry.bytes;
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<Buffer> unpack(zip_t* archive, const Entry& entry) {
  const EntryFile file(zip_fopen_index(archive, entry.index, 0));
  if (!file) return invalid_argument("{}", zip_strerror(archive));
  Buffer bytes = Buffer::allocate(entry.bytes);
  std::span<std::byte> left = bytes.mutable_bytes();
  while (!left.empty()) {
    const zip_int64_t got = zip_fread(file.get(), left.data(), left.size());
    if (got < 0) return invalid_argument("{}", zip_file_strerror(file.get()));
    if (got == 0) {
      return invalid_argument("unpacks to {} bytes, its entry says {}", entry.bytes - left.size(),
                              entry.bytes);
    }
    left = left.subspan(static_cast<size_t>(got));
  }
  // The checksum is compared when the end is read.
  std::byte beyond{};
  const zip_int64_t got = zip_fread(file.get(), &beyond, 1);
  if (got < 0) return invalid_argument("{}", zip_file_strerror(file.get()));
  if (got > 0)
    return invalid_argument("unpacks to more than the {} bytes of its entry", entry.bytes);
  return bytes;
}

// A stored entry's bytes where they lie, or an empty buffer if they cannot be told to lie there:
// then unpack() says what is wrong.
Buffer in_place(zip_t* archive, const NpzSource& source, const Buffer& bytes, const Entry& entry,
                bool check_sum) {
  const EntryFile file(zip_fopen_index(archive, entry.index, 0));
  std::byte first{};
  if (!file || entry.bytes == 0 || zip_fread(file.get(), &first, 1) != 1) return {};
  const uint64_t start = source.last_read();
  if (start > bytes.size() || entry.bytes > bytes.size() - start) return {};
  Buffer content = bytes.slice(start, entry.bytes);
  const std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
  if (!text.starts_with("\x93NUMPY")) return {};
  if (check_sum && libdeflate_crc32(0, content.data(), content.size()) != entry.crc) return {};
  return content;
}

Result<Buffer> content_of(zip_t* archive, const NpzSource& source, const Buffer& bytes,
                          const Entry& entry, bool check_sum) {
  if (entry.stored) {
    Buffer content = in_place(archive, source, bytes, entry, check_sum);
    if (!content.empty()) return content;
  }
  return unpack(archive, entry);
}

Result<Archive> open_archive(const Buffer& bytes, NpzSource& watched) {
  // libzip takes no bytes for a new archive, and looks for one behind foreign bytes; NumPy does
  // not.
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.substr(0, 4) != "PK\x03\x04" && text.substr(0, 4) != kEmptyArchive.substr(0, 4)) {
    return invalid_argument("npz: not a zip archive: it does not start with PK");
  }
  ZipError error;
  Source source(watched.create(error.get()));
  if (!source) return resource_exhausted("npz: {}", error.text());
  Archive archive(zip_open_from_source(source.get(), ZIP_RDONLY, error.get()));
  if (!archive) return invalid_argument("npz: not a zip archive: {}", error.text());
  source.release();  // the archive's now
  return archive;
}

// Room after the header's text, so that the elements of an entry that starts at `start` lie at a
// multiple of 64 of the archive: who maps it need not copy them.
std::string aligned_header(std::string header, const std::string& name, uint64_t start) {
  constexpr uint64_t kAlignment = 64;
  constexpr size_t kLengthAt = 8;  // of the text, 16 bits, little-endian
  const uint64_t end = start + kLocalHeader + name.size() + kSuffix.size() + header.size();
  header.insert(header.size() - 1, (kAlignment - end % kAlignment) % kAlignment, ' ');
  const size_t text = header.size() - kLengthAt - 2;
  header[kLengthAt] = static_cast<char>(text & 0xff);
  header[kLengthAt + 1] = static_cast<char>(text >> 8);
  return header;
}

// Adds one stored entry; libzip reads `header` and the array when the archive is closed.
Status add_entry(zip_t* archive, const std::string& name, const std::string& header,
                 const Array& array) {
  if (name.find('\0') != std::string::npos) return invalid_argument("a name with a NUL in it");
  const auto piece = [](const void* data, size_t bytes) {
    return zip_buffer_fragment_t{static_cast<zip_uint8_t*>(const_cast<void*>(data)), bytes};
  };
  const zip_buffer_fragment_t pieces[] = {piece(header.data(), header.size()),
                                          piece(array.bytes().data(), array.byte_size())};
  ZipError error;
  Source source(
      zip_source_buffer_fragment_create(pieces, array.byte_size() ? 2 : 1, 0, error.get()));
  if (!source) return resource_exhausted("{}", error.text());
  const zip_int64_t index =
      zip_file_add(archive, (name + std::string(kSuffix)).c_str(), source.get(), ZIP_FL_ENC_UTF_8);
  if (index < 0) return invalid_argument("{}", zip_strerror(archive));
  source.release();
  const auto entry = static_cast<zip_uint64_t>(index);
  if (zip_set_file_compression(archive, entry, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(archive, entry, kDosMidnight, kDosNewYear1980, 0) != 0) {
    return invalid_argument("{}", zip_strerror(archive));
  }
  return absl::OkStatus();
}

Result<Buffer> bytes_of(zip_source_t* source) {
  const auto failed = [source] {
    return resource_exhausted("npz: {}", zip_error_strerror(zip_source_error(source)));
  };
  zip_stat_t info;
  if (zip_source_stat(source, &info) != 0 || zip_source_open(source) != 0) return failed();
  Buffer bytes = Buffer::allocate(info.size);
  std::span<std::byte> left = bytes.mutable_bytes();
  while (!left.empty()) {
    const zip_int64_t got = zip_source_read(source, left.data(), left.size());
    if (got <= 0) return failed();
    left = left.subspan(static_cast<size_t>(got));
  }
  zip_source_close(source);
  return bytes;
}

Result<ArrayRecord> parse(const Buffer& bytes, bool check_sums) {
  NpzSource source(bytes.bytes());
  UMBEL_ASSIGN_OR_RETURN(const Archive archive, open_archive(bytes, source));
  UMBEL_ASSIGN_OR_RETURN(std::vector<Entry> entries, directory_of(archive.get(), bytes.size()));
  ArrayRecord arrays;
  arrays.reserve(entries.size());
  for (Entry& entry : entries) {
    const auto within = [&](const Status& status) {
      return annotate(status, fmt::format("npz: entry \"{}.npy\"", escaped(entry.name)));
    };
    Result<Buffer> content = content_of(archive.get(), source, bytes, entry, check_sums);
    if (!content.ok()) return within(content.status());
    Result<Array> array = parse_npy(*std::move(content));
    if (!array.ok()) return within(array.status());
    arrays.append(std::move(entry.name), *std::move(array));
  }
  return arrays;
}

Result<ArrayRecord> read(const std::filesystem::path& path, bool check_sums) {
  UMBEL_ASSIGN_OR_RETURN(const Buffer bytes, Buffer::map_file(path.string()));
  Result<ArrayRecord> arrays = parse(bytes, check_sums);
  if (!arrays.ok()) return annotate(arrays.status(), path.string());
  return arrays;
}

}  // namespace

Result<ArrayRecord> parse_npz(const Buffer& bytes) { return parse(bytes, true); }

Result<ArrayRecord> read_npz(const std::filesystem::path& path) { return read(path, true); }

Result<ArrayRecord> map_npz(const std::filesystem::path& path) { return read(path, false); }

Result<Buffer> format_npz(const ArrayRecord& arrays) {
  if (arrays.empty()) return Buffer::copy_of(std::as_bytes(std::span(kEmptyArchive)));
  if (arrays.size() > kNpzEntriesMax) {
    return resource_exhausted("npz: {} arrays, the limit is {}", arrays.size(), kNpzEntriesMax);
  }
  ZipError error;
  const Source target(zip_source_buffer_create(nullptr, 0, 0, error.get()));
  if (!target) return resource_exhausted("npz: {}", error.text());
  zip_source_keep(target.get());  // one reference is the archive's
  std::vector<std::string> headers(arrays.size());
  Archive archive(zip_open_from_source(target.get(), ZIP_TRUNCATE, error.get()));
  if (!archive) {
    zip_source_free(target.get());
    return resource_exhausted("npz: {}", error.text());
  }
  uint64_t start = 0;
  for (size_t i = 0; i != arrays.size(); ++i) {
    const auto& [name, array] = arrays.entry(i);
    Result<std::string> header = format_npy_header(array);
    Status status = header.status();
    if (header.ok()) {
      headers[i] = aligned_header(*std::move(header), name, start);
      start += kLocalHeader + name.size() + kSuffix.size() + headers[i].size() + array.byte_size();
      status = add_entry(archive.get(), name, headers[i], array);
    }
    if (!status.ok()) return annotate(status, fmt::format("array \"{}\"", escaped(name)));
  }
  if (zip_close(archive.get()) != 0) {
    return resource_exhausted("npz: {}", zip_strerror(archive.get()));
  }
  archive.release();
  return bytes_of(target.get());
}

Status write_npz(const std::filesystem::path& path, const ArrayRecord& arrays) {
  Result<Buffer> bytes = format_npz(arrays);
  if (!bytes.ok()) return annotate(bytes.status(), path.string());
  UMBEL_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  UMBEL_RETURN_IF_ERROR(file.write(bytes->bytes()));
  return file.commit();
}

}  // namespace umbel
