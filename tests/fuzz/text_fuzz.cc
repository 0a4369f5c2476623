#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/check.h"
#include "umbel/data/text_tokens.h"

// Tokens are the text again, and the pieces of a text lie in it, one after the other.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace umbel;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const data::TextToken kind : {data::TextToken::kCharacter, data::TextToken::kByte}) {
    std::vector<uint32_t> tokens;
    if (!data::append_tokens(text, kind, 1, tokens).ok()) continue;
    std::string again;
    for (const uint32_t token : tokens) again += data::text_of(token, kind);
    UMBEL_CHECK(again == text);
  }
  for (const data::TextOwner owner :
       {data::TextOwner::kFile, data::TextOwner::kLine, data::TextOwner::kSpeaker}) {
    const char* at = text.data();
    for (const data::TextPiece& piece : data::cut_text(text, "file", owner)) {
      UMBEL_CHECK(piece.text.data() >= at);
      at = piece.text.data() + piece.text.size();
      UMBEL_CHECK(at <= text.data() + text.size());
    }
  }
  return 0;
}
