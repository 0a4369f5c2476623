#include "umbel/wire/utf8.h"

#include <cstdint>

namespace umbel::wire {

namespace {

// The length of the character at the start of `text` (RFC 3629), or 0 if there is none.
size_t character_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first < 0xc2   ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i != length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Longer than need be, a surrogate, or beyond U+10FFFF.
  if (first == 0xe0 && byte(1) < 0xa0) return 0;
  if (first == 0xed && byte(1) > 0x9f) return 0;
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) > 0x8f) return 0;
  return length;
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string as_utf8(std::string_view text, size_t bytes_max) {
  std::string valid;
  valid.reserve(text.size() < bytes_max ? text.size() : bytes_max);
  while (!text.empty()) {
    const size_t length = character_length(text);
    const size_t bytes = length ? length : 1;
    if (valid.size() + bytes > bytes_max) break;
    valid += length ? text.substr(0, length) : std::string_view("?");
    text.remove_prefix(bytes);
  }
  return valid;
}

}  // namespace umbel::wire
