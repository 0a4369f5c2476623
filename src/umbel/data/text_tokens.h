#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/status.h"
#include "umbel/data/text_corpus.h"

namespace umbel::data {

// Appends the text's tokens to `out`: bytes, or the code points of its UTF-8.  INVALID_ARGUMENT
// with line (counted from `line`) and column for what is not UTF-8.
Status append_tokens(std::string_view text, TextToken token, uint64_t line,
                     std::vector<uint32_t>& out);

// The token as text: its UTF-8, or the byte.
std::string text_of(uint32_t token, TextToken kind);

// Some text of an owner's; a part of a file.
struct TextPiece {
  std::string owner;
  std::string_view text;
  uint64_t line = 1;  // of its first character in the file
};
// Cuts a file's text.  `file` is what the owner is called where it is the file.
std::vector<TextPiece> cut_text(std::string_view text, std::string_view file, TextOwner owner);

}  // namespace umbel::data
