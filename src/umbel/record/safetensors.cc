#include "umbel/record/safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "umbel/base/files.h"
#include "umbel/base/sha256.h"
#include "umbel/base/text.h"
#include "umbel/record/safetensors_header.h"

namespace umbel {

namespace {

constexpr size_t kLengthBytes = 8;
constexpr size_t kDataAlignment = 8;

Result<size_t> header_bytes_of(std::span<const std::byte> bytes) {
  if (bytes.size() < kLengthBytes) {
    return invalid_argument("safetensors: {} bytes, not even a header's length", bytes.size());
  }
  uint64_t length = 0;
  for (size_t i = kLengthBytes; i-- != 0;) length = length << 8 | static_cast<uint8_t>(bytes[i]);
  if (length > kSafetensorsHeaderMax) {
    return invalid_argument("safetensors: header of {} bytes, the limit is {}", length,
                            kSafetensorsHeaderMax);
  }
  if (length > bytes.size() - kLengthBytes) {
    return invalid_argument("safetensors: header of {} bytes, the file has {} left", length,
                            bytes.size() - kLengthBytes);
  }
  return static_cast<size_t>(length);
}

// `entry` must take up where the last one ended.
Status check_place(const SafetensorsEntry& entry, uint64_t expected_begin, uint64_t data_bytes) {
  UMBEL_ASSIGN_OR_RETURN(const int64_t count, element_count(entry.shape));
  if (entry.begin != expected_begin) {
    return invalid_argument("starts at byte {} of the data, the array before it ends at {}",
                            entry.begin, expected_begin);
  }
  if (entry.end < entry.begin || entry.end > data_bytes) {
    return invalid_argument("lies at bytes {} to {} of the data, which are {} long", entry.begin,
                            entry.end, data_bytes);
  }
  const uint64_t bytes = static_cast<uint64_t>(count) * size_of(entry.dtype);
  if (entry.end - entry.begin != bytes) {
    return invalid_argument("{}{} takes {} bytes, data_offsets give it {}", name_of(entry.dtype),
                            to_string(entry.shape), bytes, entry.end - entry.begin);
  }
  return absl::OkStatus();
}

Result<std::string> quoted(const std::string& name) {
  try {
    return nlohmann::json(name).dump();
  } catch (const nlohmann::json::exception&) {
    return invalid_argument("the name is not UTF-8");
  }
}

Result<std::string> entry_text(const std::string& name, const Array& array, uint64_t begin) {
  const std::string_view dtype = safetensors_dtype(array.dtype());
  if (dtype.empty()) {
    return invalid_argument("a .safetensors file cannot hold {}: save it as .npz",
                            name_of(array.dtype()));
  }
  if (name == "__metadata__") return invalid_argument("the format keeps this name for itself");
  if (array.shape().size() > kSafetensorsRankMax) {
    return invalid_argument("{} dimensions, the limit is {}", array.shape().size(),
                            kSafetensorsRankMax);
  }
  UMBEL_ASSIGN_OR_RETURN(const std::string key, quoted(name));
  return fmt::format(R"({}:{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", key, dtype,
                     to_string(array.shape()), begin, begin + array.byte_size());
}

}  // namespace

Result<ArrayRecord> parse_safetensors(const Buffer& bytes) {
  UMBEL_ASSIGN_OR_RETURN(const size_t header_bytes, header_bytes_of(bytes.bytes()));
  const std::string_view json(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                              header_bytes);
  UMBEL_ASSIGN_OR_RETURN(std::vector<SafetensorsEntry> entries, parse_safetensors_entries(json));
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  const size_t data_start = kLengthBytes + header_bytes;
  const uint64_t data_bytes = bytes.size() - data_start;
  uint64_t end = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (const Status status = check_place(entry, end, data_bytes); !status.ok()) {
      return annotate(status, fmt::format("safetensors: array \"{}\"", escaped(entry.name)));
    }
    end = entry.end;
  }
  if (end != data_bytes) {
    return invalid_argument("safetensors: {} bytes of data, the arrays take {}", data_bytes, end);
  }
  ArrayRecord arrays;
  arrays.reserve(entries.size());
  for (SafetensorsEntry& entry : entries) {
    UMBEL_ASSIGN_OR_RETURN(
        Array array, Array::make(entry.dtype, std::move(entry.shape),
                                 bytes.slice(data_start + entry.begin, entry.end - entry.begin)));
    arrays.append(std::move(entry.name), std::move(array));
  }
  return arrays;
}

Result<ArrayRecord> read_safetensors(const std::filesystem::path& path) {
  UMBEL_ASSIGN_OR_RETURN(const Buffer bytes, Buffer::map_file(path.string()));
  Result<ArrayRecord> arrays = parse_safetensors(bytes);
  if (!arrays.ok()) return annotate(arrays.status(), path.string());
  return arrays;
}

Result<std::string> safetensors_header(const ArrayRecord& arrays) {
  if (arrays.size() > kSafetensorsArraysMax) {
    return invalid_argument("safetensors: {} arrays, the limit is {}", arrays.size(),
                            kSafetensorsArraysMax);
  }
  std::string json = "{";
  uint64_t begin = 0;
  for (const auto& [name, array] : arrays) {
    Result<std::string> entry = entry_text(name, array, begin);
    if (!entry.ok()) return annotate(entry.status(), fmt::format("array \"{}\"", escaped(name)));
    json += (json.size() > 1 ? "," : "") + *entry;
    begin += array.byte_size();
  }
  json += '}';
  json.append((kDataAlignment - json.size() % kDataAlignment) % kDataAlignment, ' ');
  if (json.size() > kSafetensorsHeaderMax) {
    return invalid_argument("safetensors: header of {} bytes, the limit is {}", json.size(),
                            kSafetensorsHeaderMax);
  }
  std::string length(kLengthBytes, '\0');
  for (size_t i = 0; i != kLengthBytes; ++i) length[i] = static_cast<char>(json.size() >> (8 * i));
  return length + json;
}

Status write_safetensors(const std::filesystem::path& path, const ArrayRecord& arrays) {
  const Result<std::string> header = safetensors_header(arrays);
  if (!header.ok()) return annotate(header.status(), path.string());
  UMBEL_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  UMBEL_RETURN_IF_ERROR(file.write(std::string_view(*header)));
  for (const auto& [name, array] : arrays) UMBEL_RETURN_IF_ERROR(file.write(array.bytes()));
  return file.commit();
}

std::string safetensors_sha256(const ArrayRecord& arrays) {
  const std::string header = or_throw(safetensors_header(arrays));
  Sha256 hash;
  hash.add(std::as_bytes(std::span(header)));
  for (const auto& [name, array] : arrays) hash.add(array.bytes());
  return hash.hex();
}

}  // namespace umbel
