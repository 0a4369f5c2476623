#include "umbel/data/text_tokens.h"

#include <algorithm>

namespace umbel::data {

namespace {

struct CodePoint {
  uint32_t value = 0;
  size_t bytes = 0;  // 0: not UTF-8
};

// RFC 3629: shortest forms only, no surrogates, up to U+10FFFF.
CodePoint decode(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[i])); };
  const uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return {};
  uint32_t value = first & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i != bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3F);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[bytes] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return {};
  return {value, bytes};
}

Status not_utf8(std::string_view text, size_t at, uint64_t line) {
  const std::string_view before = text.substr(0, at);
  const size_t start = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
  return invalid_argument(
      "line {}, column {}: byte 0x{:02x} is not UTF-8; convert the file, or take bytes as tokens",
      line + static_cast<uint64_t>(std::ranges::count(before, '\n')), at - start + 1,
      static_cast<uint8_t>(text[at]));
}

std::string_view first_line(std::string_view text) {
  const size_t end = text.find('\n');
  return end == text.npos ? text : text.substr(0, end + 1);
}

// "HAMLET" of the line "HAMLET:", or "".
std::string_view speaker_of(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  constexpr size_t kNameMax = 40;
  if (line.size() < 2 || line.size() > kNameMax || line.back() != ':') return {};
  return line.substr(0, line.size() - 1);
}

std::vector<TextPiece> cut_lines(std::string_view text, std::string_view file) {
  std::vector<TextPiece> pieces;
  for (uint64_t line = 1; !text.empty(); ++line) {
    const std::string_view piece = first_line(text);
    pieces.push_back({fmt::format("{}:{}", file, line), piece, line});
    text.remove_prefix(piece.size());
  }
  return pieces;
}

std::vector<TextPiece> cut_speeches(std::string_view text, std::string_view file) {
  std::vector<TextPiece> pieces;
  TextPiece piece{std::string(file), text.substr(0, 0), 1};
  const auto close = [&] {
    if (!piece.text.empty()) pieces.push_back(piece);
  };
  size_t at = 0;
  for (uint64_t line = 1; at != text.size(); ++line) {
    const std::string_view next = first_line(text.substr(at));
    at += next.size();
    if (const std::string_view name = speaker_of(next); !name.empty()) {
      close();
      piece = {std::string(name), text.substr(at, 0), line + 1};
    } else {
      piece.text = {piece.text.data(), piece.text.size() + next.size()};
    }
  }
  close();
  return pieces;
}

}  // namespace

Status append_tokens(std::string_view text, TextToken token, uint64_t line,
                     std::vector<uint32_t>& out) {
  if (token == TextToken::kByte) {
    for (const char c : text) out.push_back(static_cast<uint8_t>(c));
    return absl::OkStatus();
  }
  for (size_t at = 0; at != text.size();) {
    const CodePoint next = decode(text.substr(at));
    if (next.bytes == 0) return not_utf8(text, at, line);
    out.push_back(next.value);
    at += next.bytes;
  }
  return absl::OkStatus();
}

std::string text_of(uint32_t token, TextToken kind) {
  const auto byte = [](uint32_t value) { return static_cast<char>(static_cast<uint8_t>(value)); };
  if (kind == TextToken::kByte || token < 0x80) return std::string(1, byte(token));
  std::string text;
  if (token >= 0x10000) {
    text += byte(0xF0 | token >> 18);
    text += byte(0x80 | (token >> 12 & 0x3F));
  } else if (token >= 0x800) {
    text += byte(0xE0 | token >> 12);
  }
  if (token >= 0x800) {
    text += byte(0x80 | (token >> 6 & 0x3F));
  } else {
    text += byte(0xC0 | token >> 6);
  }
  return text + byte(0x80 | (token & 0x3F));
}

std::vector<TextPiece> cut_text(std::string_view text, std::string_view file, TextOwner owner) {
  switch (owner) {
    case TextOwner::kLine:
      return cut_lines(text, file);
    case TextOwner::kSpeaker:
      return cut_speeches(text, file);
    case TextOwner::kFile:
      break;
  }
  return {{std::string(file), text, 1}};
}

}  // namespace umbel::data
