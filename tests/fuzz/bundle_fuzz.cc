#include <span>
#include <string>

#include "umbel/base/check.h"
#include "umbel/bundle/bundle.h"
#include "umbel/bundle/list.h"

namespace {

using namespace umbel;

// The bytes as a frame that holds them as they are, so that mutations reach what is inside.
std::string framed(std::string_view text) {
  constexpr size_t kBlockBytes = 128 << 10;
  std::string frame("\x28\xb5\x2f\xfd\0\x50", 6);
  bool last = false;
  while (!last) {
    const std::string_view block = text.substr(0, kBlockBytes);
    text.remove_prefix(block.size());
    last = text.empty();
    const auto header = static_cast<uint32_t>(block.size() << 3 | (last ? 1 : 0));
    for (int i = 0; i != 3; ++i) frame += static_cast<char>(header >> (8 * i));
    frame += block;
  }
  return frame;
}

void check_files(const std::vector<bundle::Bundle::File>& files) {
  uint64_t total = 0;
  const std::string* last = nullptr;
  for (const bundle::Bundle::File& file : files) {
    UMBEL_CHECK(file.path.size() <= bundle::kPathBytesMax && file.path.front() != '/');
    UMBEL_CHECK(file.path.front() != '.' && file.path.find("/.") == std::string::npos);
    UMBEL_CHECK(last == nullptr || *last < file.path);
    last = &file.path;
    total += file.bytes;
  }
  UMBEL_CHECK(total <= bundle::kUnpackedBytesMax && files.size() <= bundle::kFilesMax);
}

}  // namespace

// A list (it starts with '{'), an archive (with Zstandard's magic number), or what is in one.  What
// is taken keeps to the limits and comes back the same, whatever the bytes were.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.starts_with('{')) {
    const auto list = bundle::parse_list(text);
    if (list.ok()) {
      check_files(list->files);
      UMBEL_CHECK(bundle::format_list(list->description, list->files) == text);
    }
    UMBEL_CHECK(!bundle::check_signature(text, text).ok());
    return 0;
  }
  const std::string archive =
      text.starts_with("\x28\xb5\x2f\xfd") ? std::string(text) : framed(text);
  const auto found = bundle::verify(std::as_bytes(std::span(archive)));
  if (found.ok()) check_files(found->files);
  return 0;
}
