#include "umbel/bundle/entry.h"

#include <algorithm>
#include <cstring>

#include "umbel/base/check.h"
#include "umbel/base/text.h"
#include "umbel/bundle/bundle.h"

namespace umbel::bundle {

namespace {

// IEEE Std 1003.1, pax, "ustar Interchange Format".
struct Field {
  const char* name;
  size_t offset, bytes;
};
constexpr Field kName = {"name", 0, 100}, kMode = {"mode", 100, 8}, kOwner = {"owner", 108, 8},
                kGroup = {"group", 116, 8}, kSize = {"size", 124, 12}, kTime = {"time", 136, 12},
                kChecksum = {"checksum", 148, 8}, kType = {"type", 156, 1},
                kLink = {"link", 157, 100}, kMagic = {"magic", 257, 8},
                kNames = {"owner's names", 265, 64}, kDevice = {"device", 329, 16},
                kPrefix = {"prefix", 345, 155}, kRest = {"end", 500, 12};
// In the order in which a difference says most.
constexpr Field kFields[] = {kMagic, kType,  kName,  kPrefix, kLink, kSize, kMode,
                             kOwner, kGroup, kNames, kDevice, kTime, kRest, kChecksum};

constexpr std::string_view kForbidden = "\\:*?\"<>|";

void put(Block& block, const Field& field, std::string_view text) {
  UMBEL_CHECK(text.size() <= field.bytes);
  std::memcpy(block.data() + field.offset, text.data(), text.size());
}

// Where a path is cut into prefix and name: npos if it cannot be, 0 if it need not be.
size_t cut_of(std::string_view path) {
  if (path.size() <= kName.bytes) return 0;
  const size_t cut = path.find('/', path.size() - kName.bytes - 1);
  return cut == std::string_view::npos || cut > kPrefix.bytes ? std::string_view::npos : cut;
}

Status check_part(std::string_view path, std::string_view part) {
  const auto wrong = [&](std::string_view why) {
    return invalid_argument("\"{}\": {}", escaped(path), why);
  };
  if (part.empty()) return wrong("a path with an empty part, or an absolute one");
  if (part.front() == '.') return wrong("a path with a part that starts with a dot");
  if (part.front() == ' ' || part.back() == ' ' || part.back() == '.') {
    return wrong("a path with a part that starts or ends with a space, or ends with a dot");
  }
  const auto refused = [](char c) {
    return c < 0x20 || c > 0x7e || kForbidden.find(c) != std::string_view::npos;
  };
  if (std::any_of(part.begin(), part.end(), refused)) {
    return wrong("a path may have printable ASCII without \\ : * ? \" < > |");
  }
  return absl::OkStatus();
}

}  // namespace

Status check_path(std::string_view path) {
  if (path.size() > kPathBytesMax) {
    return invalid_argument("\"{}...\": a path of {} bytes, the limit is {}",
                            escaped(path.substr(0, 64)), path.size(), kPathBytesMax);
  }
  size_t depth = 0;
  for (size_t at = 0; at <= path.size(); ++depth) {
    const size_t end = std::min(path.find('/', at), path.size());
    UMBEL_RETURN_IF_ERROR(check_part(path, path.substr(at, end - at)));
    at = end + 1;
  }
  if (depth > kDepthMax + 1) {
    return invalid_argument("\"{}\": in {} folders within each other, the limit is {}",
                            escaped(path), depth - 1, kDepthMax);
  }
  if (cut_of(path) == std::string_view::npos) {
    return invalid_argument("\"{}\": a name of more than {} bytes", escaped(path), kName.bytes);
  }
  return absl::OkStatus();
}

Block header_of(const Entry& entry) {
  UMBEL_CHECK(check_path(entry.path).ok() && entry.bytes <= kUnpackedBytesMax);
  Block block{};
  const size_t cut = cut_of(entry.path);
  put(block, kName, std::string_view(entry.path).substr(cut == 0 ? 0 : cut + 1));
  put(block, kPrefix, std::string_view(entry.path).substr(0, cut));
  put(block, kMode, entry.executable ? "0000755" : "0000644");
  put(block, kOwner, "0000000");
  put(block, kGroup, "0000000");
  put(block, kSize, fmt::format("{:011o}", entry.bytes));
  put(block, kTime, "00000000000");
  put(block, kType, "0");
  put(block, kMagic, std::string_view("ustar\00000", 8));
  unsigned sum = ' ' * kChecksum.bytes;  // the field itself counts as spaces
  for (const std::byte byte : block) sum += std::to_integer<unsigned>(byte);
  put(block, kChecksum, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return block;
}

Status require_header(std::span<const std::byte, kBlockBytes> block, const Entry& entry) {
  const Block expected = header_of(entry);
  for (const Field& field : kFields) {
    if (std::memcmp(block.data() + field.offset, expected.data() + field.offset, field.bytes) ==
        0) {
      continue;
    }
    const auto* text = reinterpret_cast<const char*>(block.data() + field.offset);
    return invalid_argument(
        "entry \"{}\": its header's {} is otherwise than its list has it: \"{}\"", entry.path,
        field.name, escaped(std::string_view(text, strnlen(text, field.bytes))));
  }
  return absl::OkStatus();
}

Result<uint64_t> bytes_of_header(std::span<const std::byte, kBlockBytes> block,
                                 std::string_view path) {
  uint64_t bytes = 0;
  for (size_t i = 0; i + 1 != kSize.bytes; ++i) {
    const auto digit = std::to_integer<unsigned>(block[kSize.offset + i]) - '0';
    if (digit > 7) return invalid_argument("entry \"{}\": its size is no octal number", path);
    bytes = bytes << 3 | digit;
  }
  if (bytes > kUnpackedBytesMax) {
    return resource_exhausted("entry \"{}\": {} bytes, the limit is {}", path, bytes,
                              kUnpackedBytesMax);
  }
  UMBEL_RETURN_IF_ERROR(require_header(block, {std::string(path), bytes, false}));
  return bytes;
}

}  // namespace umbel::bundle
