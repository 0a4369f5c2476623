#include "umbel/base/text.h"

#include <gtest/gtest.h>

namespace umbel {
namespace {

const std::vector<std::string> kKeys{"rounds", "learning-rate", "batch-size", "local-epochs"};

TEST(Text, NearestFindsTheWordThatWasMeant) {
  EXPECT_EQ(nearest("round", kKeys), "rounds");
  EXPECT_EQ(nearest("learning_rate", kKeys), "learning-rate");
  EXPECT_EQ(nearest("batchsize", kKeys), "batch-size");
  EXPECT_EQ(nearest("rounds", kKeys), "rounds");
}

TEST(Text, NearestIsSilentWhereNothingIsNear) {
  EXPECT_EQ(nearest("momentum", kKeys), "");
  EXPECT_EQ(nearest("", {"x"}), "");
  EXPECT_EQ(nearest("x", {}), "");
  EXPECT_EQ(nearest(std::string(65, 'x'), {std::string(65, 'x')}), "");
}

TEST(Text, NearestAllowsAThirdOfTheLetters) {
  EXPECT_EQ(nearest("abcdef", {"abcdxy"}), "abcdxy");
  EXPECT_EQ(nearest("abcdef", {"abcxyz"}), "");
}

TEST(Text, NearestCountsInsertionsDeletionsAndChangesAlike) {
  EXPECT_EQ(nearest("abcd", {"abcde"}), "abcde");
  EXPECT_EQ(nearest("abcd", {"abd"}), "abd");
  EXPECT_EQ(nearest("abcd", {"abxd"}), "abxd");
}

TEST(Text, DidYouMeanIsReadyToAppend) {
  EXPECT_EQ(did_you_mean("round", kKeys), "; did you mean \"rounds\"?");
  EXPECT_EQ(did_you_mean("zzzzzz", kKeys), "");
}

TEST(Text, EscapedShowsEveryControlCharacter) {
  for (int c = 0; c != 0x80; ++c) {
    const std::string text(1, static_cast<char>(c));
    const bool control = c < 0x20 || c == 0x7f;
    EXPECT_EQ(escaped(text) == text, !control) << c;
  }
  EXPECT_EQ(escaped("\x1b[31mred\n"), "\\x1b[31mred\\x0a");
  EXPECT_EQ(escaped(std::string("a\0b", 3)), "a\\x00b");
}

TEST(Text, EscapedShowsTheControlCharactersOfUtf8AndKeepsItsLetters) {
  EXPECT_EQ(escaped("\xc2\x9b"
                    "31m"),
            "\\xc2\\x9b31m");
  EXPECT_EQ(escaped("\xc2\xa0 \xc3\xa9 \xe2\x82\xac"), "\xc2\xa0 \xc3\xa9 \xe2\x82\xac");
  EXPECT_EQ(escaped("\xc2"), "\xc2");
}

}  // namespace
}  // namespace umbel
