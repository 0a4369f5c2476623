#include "umbel/data/idx.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "umbel/base/buffer.h"
#include "umbel/data/gzip.h"

namespace umbel::data {

namespace {

using Bytes = std::span<const std::byte>;

struct Header {
  DType dtype = DType::kUint8;
  int rank = 0;
  Shape shape;
  size_t payload = 0;  // bytes of elements

  size_t byte_size() const { return 4 + 4 * static_cast<size_t>(rank); }
};

std::optional<DType> dtype_of_code(uint8_t code) {
  switch (code) {
    case 0x08:
      return DType::kUint8;
    case 0x09:
      return DType::kInt8;
    case 0x0B:
      return DType::kInt16;
    case 0x0C:
      return DType::kInt32;
    case 0x0D:
      return DType::kFloat32;
    case 0x0E:
      return DType::kFloat64;
    default:
      return std::nullopt;
  }
}

// The first four bytes: what the elements are, and how many extents follow.
Status parse_magic(Bytes magic, Header& header) {
  const auto byte = [&](size_t i) { return std::to_integer<uint8_t>(magic[i]); };
  if (byte(0) != 0 || byte(1) != 0) {
    return invalid_argument("not an IDX file: it starts with {:02x} {:02x}, expected 00 00",
                            byte(0), byte(1));
  }
  const auto dtype = dtype_of_code(byte(2));
  if (!dtype) {
    return invalid_argument("element type 0x{:02x}, expected 08, 09, 0b, 0c, 0d or 0e", byte(2));
  }
  if (byte(3) < 1 || byte(3) > kIdxRankMax) {
    return invalid_argument("{} dimensions, expected 1 to {}", byte(3), kIdxRankMax);
  }
  header.dtype = *dtype;
  header.rank = byte(3);
  return absl::OkStatus();
}

Status parse_extents(Bytes extents, Header& header) {
  for (size_t i = 0; i != extents.size(); i += 4) {
    int64_t extent = 0;
    for (size_t j = 0; j != 4; ++j) {
      extent = extent << 8 | std::to_integer<uint8_t>(extents[i + j]);
    }
    header.shape.push_back(extent);
  }
  UMBEL_ASSIGN_OR_RETURN(const int64_t count, element_count(header.shape));
  const uint64_t payload = static_cast<uint64_t>(count) * size_of(header.dtype);
  if (payload > kIdxBytesMax) {
    return resource_exhausted("{}{} takes {} bytes, the limit is {}", name_of(header.dtype),
                              to_string(header.shape), payload, kIdxBytesMax);
  }
  header.payload = static_cast<size_t>(payload);
  return absl::OkStatus();
}

template <class Word, Word (*kSwap)(Word)>
void swap_words(std::span<std::byte> bytes) {
  for (size_t i = 0; i != bytes.size(); i += sizeof(Word)) {
    Word word;
    std::memcpy(&word, bytes.data() + i, sizeof word);
    word = kSwap(word);
    std::memcpy(bytes.data() + i, &word, sizeof word);
  }
}
uint16_t swap2(uint16_t word) { return __builtin_bswap16(word); }
uint32_t swap4(uint32_t word) { return __builtin_bswap32(word); }
uint64_t swap8(uint64_t word) { return __builtin_bswap64(word); }

void swap_bytes(std::span<std::byte> bytes, size_t width) {
  if (width == 2) swap_words<uint16_t, swap2>(bytes);
  if (width == 4) swap_words<uint32_t, swap4>(bytes);
  if (width == 8) swap_words<uint64_t, swap8>(bytes);
}

Result<Array> finish(const Header& header, Buffer buffer) {
  const size_t width = size_of(header.dtype);
  if (width > 1) swap_bytes(buffer.mutable_bytes(), width);
  return Array::make(header.dtype, header.shape, std::move(buffer));
}

// `file` is what `bytes` are of, if it can be shared.
Result<Array> parse_plain(Bytes bytes, const Buffer& file) {
  if (bytes.size() < 4) return data_loss("{} bytes, an IDX header has at least 8", bytes.size());
  Header header;
  UMBEL_RETURN_IF_ERROR(parse_magic(bytes.first(4), header));
  const size_t start = header.byte_size();
  if (bytes.size() < start) {
    return data_loss("{} bytes, its IDX header has {}", bytes.size(), start);
  }
  UMBEL_RETURN_IF_ERROR(parse_extents(bytes.subspan(4, start - 4), header));
  if (bytes.size() - start != header.payload) {
    return data_loss("{} bytes of elements, {}{} has {}", bytes.size() - start,
                     name_of(header.dtype), to_string(header.shape), header.payload);
  }
  if (!file.empty()) return finish(header, file.slice(start, header.payload));
  return finish(header, Buffer::copy_of(bytes.subspan(start)));
}

Result<Array> parse_gzip(Bytes bytes) {
  Gunzip gunzip(bytes);
  std::array<std::byte, 4 + 4 * kIdxRankMax> head{};
  const auto front = std::span(head);
  UMBEL_RETURN_IF_ERROR(gunzip.read(front.first(4)));
  Header header;
  UMBEL_RETURN_IF_ERROR(parse_magic(front.first(4), header));
  const auto extents = front.subspan(4, header.byte_size() - 4);
  UMBEL_RETURN_IF_ERROR(gunzip.read(extents));
  UMBEL_RETURN_IF_ERROR(parse_extents(extents, header));
  if (header.payload / kGzipExpansionMax > bytes.size()) {
    return data_loss("{} bytes of gzip data cannot hold the {} bytes of {}{}", bytes.size(),
                     header.payload, name_of(header.dtype), to_string(header.shape));
  }
  Buffer buffer = Buffer::allocate(header.payload);
  UMBEL_RETURN_IF_ERROR(gunzip.read(buffer.mutable_bytes()));
  UMBEL_RETURN_IF_ERROR(gunzip.finish());
  return finish(header, std::move(buffer));
}

}  // namespace

Result<Array> parse_idx(Bytes bytes, std::string_view name) {
  Result<Array> array = is_gzip(bytes) ? parse_gzip(bytes) : parse_plain(bytes, Buffer());
  if (!array.ok()) return annotate(array.status(), name);
  return array;
}

Result<Array> read_idx(const std::filesystem::path& path) {
  UMBEL_ASSIGN_OR_RETURN(const Buffer file, Buffer::map_file(path.string()));
  const Bytes bytes = file.bytes();
  Result<Array> array = is_gzip(bytes) ? parse_gzip(bytes) : parse_plain(bytes, file);
  if (!array.ok()) return annotate(array.status(), path.string());
  return array;
}

}  // namespace umbel::data
