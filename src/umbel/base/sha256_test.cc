#include "umbel/base/sha256.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace umbel {
namespace {

std::string hash(std::string_view text) {
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

// NIST's examples for FIPS 180-4.
TEST(Sha256, AgreesWithTheStandardsExamples) {
  EXPECT_EQ(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesGiveTheHashOfTheWhole) {
  const std::string text(1000, 'q');
  for (size_t piece : {1, 7, 63, 64, 65, 999}) {
    Sha256 hasher;
    for (size_t at = 0; at < text.size(); at += piece) {
      const size_t bytes = std::min(piece, text.size() - at);
      hasher.add(std::as_bytes(std::span(text).subspan(at, bytes)));
    }
    EXPECT_EQ(hasher.hex(), hash(text)) << piece;
  }
}

}  // namespace
}  // namespace umbel
