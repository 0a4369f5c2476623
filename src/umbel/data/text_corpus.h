#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "umbel/data/dataset.h"

namespace umbel::data {

inline constexpr size_t kTextBytesMax = size_t{1} << 30;              // of all files
inline constexpr uint64_t kTextFeatureBytesMax = uint64_t{16} << 30;  // of all windows
inline constexpr int64_t kTextLengthMax = 65'536;                     // of a window

enum class TextToken { kCharacter, kByte };  // a character is a Unicode code point, in UTF-8
// Whose a piece of text is.  A line ends with LF.  A speech is a line that ends in a colon
// ("HAMLET:") and all up to the next such line; all speeches of a name are one text.
enum class TextOwner { kFile, kLine, kSpeaker };

struct TextOptions {
  int64_t length = 64;  // tokens in an example
  int64_t stride = 0;   // tokens from one example's start to the next; 0: length
  TextToken token = TextToken::kCharacter;
  TextOwner owner = TextOwner::kFile;
  // The tokens that there may be, each once, in UTF-8: sites that share a model have to share
  // this.  Empty: those that occur, in the order of their codes.
  std::string vocabulary = {};
};

// Text for a model that predicts the next token: an example is `length` tokens, its label is the
// one that follows, and the owner is its natural id.  No example crosses from owner to owner; what
// is shorter than length + 1 gives none, and its owner is left out.  Features are [n, length],
// uint8 for up to 256 different tokens, else int32; the classes are the tokens.
//
// `path` is a file or a folder of files (in the order of their names; links to files of the same
// folder are left out).  INVALID_ARGUMENT, with file, line and column, for bytes that are not UTF-8
// and for a token that is not in the vocabulary; RESOURCE_EXHAUSTED beyond a limit.
Result<Dataset> load_text(const std::filesystem::path& path, const TextOptions& options = {});
// The same for apps: umbel::Error on failure.
Dataset text(const std::filesystem::path& path, const TextOptions& options = {});

}  // namespace umbel::data
