#include "umbel/data/array_cache.h"

#include <zlib.h>

#include <array>
#include <bit>
#include <cstring>
#include <string>
#include <system_error>

#include "umbel/base/files.h"
#include "umbel/base/sha256.h"
#include "umbel/data/idx.h"

namespace umbel::data {

namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "umbel array v1\n\n";

struct Header {
  std::array<char, 16> magic{};
  std::array<char, 64> stamp{};
  uint32_t dtype = 0;
  uint32_t rank = 0;
  std::array<uint64_t, 8> extents{};
  uint32_t crc = 0;
  std::array<char, 36> zeros{};
};
static_assert(sizeof(Header) == kCacheHeaderBytes);

uint32_t crc_of(const Header& header) {
  return static_cast<uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(&header), offsetof(Header, crc)));
}

Header make_header(std::string_view stamp) {
  Header header;
  kMagic.copy(header.magic.data(), header.magic.size());
  sha256_hex(std::as_bytes(std::span(stamp))).copy(header.stamp.data(), header.stamp.size());
  return header;
}

// Says that a source is still the file that was unpacked.
Result<std::string> stamp_of(const std::filesystem::path& source) {
  std::error_code failed;
  const auto bytes = std::filesystem::file_size(source, failed);
  if (failed) return not_found("{}: {}", source.string(), failed.message());
  const auto time = std::filesystem::last_write_time(source, failed);
  if (failed) return not_found("{}: {}", source.string(), failed.message());
  const auto place = std::filesystem::absolute(source, failed);
  return fmt::format("{}\n{}\n{}", place.string(), bytes, time.time_since_epoch().count());
}

Status store(const std::filesystem::path& path, std::string_view stamp, const Array& array) {
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  if (failed) return unavailable("{}: {}", path.parent_path().string(), failed.message());
  return store_array(path, stamp, array);
}

}  // namespace

Status store_array(const std::filesystem::path& path, std::string_view stamp, const Array& array) {
  Header header = make_header(stamp);
  if (array.shape().size() > header.extents.size()) {
    return invalid_argument("{}: {} has more than {} dimensions", path.string(), array.describe(),
                            header.extents.size());
  }
  header.dtype = static_cast<uint32_t>(array.dtype());
  header.rank = static_cast<uint32_t>(array.shape().size());
  std::copy(array.shape().begin(), array.shape().end(), header.extents.begin());
  header.crc = crc_of(header);
  UMBEL_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  UMBEL_RETURN_IF_ERROR(file.write(std::as_bytes(std::span(&header, 1))));
  UMBEL_RETURN_IF_ERROR(file.write(array.bytes()));
  return file.commit();
}

Result<Array> map_array(const std::filesystem::path& path, std::string_view stamp) {
  UMBEL_ASSIGN_OR_RETURN(const Buffer file, Buffer::map_file(path.string()));
  Header header;
  if (file.size() < sizeof header) return data_loss("{}: cut off", path.string());
  std::memcpy(&header, file.data(), sizeof header);
  if (header.crc != crc_of(header)) return data_loss("{}: header is damaged", path.string());
  const Header wanted = make_header(stamp);
  if (header.magic != wanted.magic || header.stamp != wanted.stamp) {
    return not_found("{}: holds something else", path.string());
  }
  if (header.dtype >= kDTypeCount || header.rank > header.extents.size()) {
    return data_loss("{}: header is damaged", path.string());
  }
  const Shape shape(header.extents.begin(), header.extents.begin() + header.rank);
  Result<Array> array = Array::make(static_cast<DType>(header.dtype), shape,
                                    file.slice(sizeof header, file.size() - sizeof header));
  if (!array.ok()) return data_loss("{}: {}", path.string(), message_of(array.status()));
  return array;
}

Result<Array> read_idx_cached(const std::filesystem::path& source,
                              const std::filesystem::path& path) {
  UMBEL_ASSIGN_OR_RETURN(const std::string stamp, stamp_of(source));
  if (Result<Array> cached = map_array(path, stamp); cached.ok()) return cached;
  UMBEL_ASSIGN_OR_RETURN(Array array, read_idx(source));
  store(path, stamp, array).IgnoreError();
  return array;
}

}  // namespace umbel::data
