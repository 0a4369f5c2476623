#include "umbel/data/text_corpus.h"

#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <algorithm>
#include <vector>

#include "umbel/data/temporary_folder_test.h"
#include "umbel/data/text_tokens.h"

namespace umbel::data {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class TextCorpus : public TemporaryFolder {
 protected:
  std::string error(const fs::path& path, const TextOptions& options = {.length = 2}) {
    return message_of(load_text(path, options).status());
  }
};

TEST_F(TextCorpus, WindowsAreTokensAndTheOneThatFollows) {
  const fs::path path = write("a.txt", "abcabd");
  const Dataset dataset = text(path, {.length = 2});
  EXPECT_THAT(dataset.class_names, ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(dataset.features.describe(), "uint8[2,2]");
  EXPECT_THAT(dataset.features.view<uint8_t>(), ElementsAre(0, 1, 2, 0));  // ab|c, ca|b
  EXPECT_THAT(dataset.labels.view<int32_t>(), ElementsAre(2, 1));
  EXPECT_THAT(dataset.natural_names, ElementsAre("a.txt"));
  EXPECT_EQ(text(path, {.length = 2, .stride = 1}).size(), 4);
  EXPECT_EQ(text(path, {.length = 2, .stride = 3}).size(), 2);
  EXPECT_EQ(text(path, {.length = 5}).size(), 1);
  EXPECT_THAT(error(path, {.length = 6}), HasSubstr("no text has 6 tokens and one more"));
}

TEST_F(TextCorpus, CharactersAreCodePointsAndBytesAreBytes) {
  const fs::path path = write("a.txt", "\xEF\xBB\xBFzäz€z😀z");
  const Dataset characters = text(path, {.length = 6});
  EXPECT_THAT(characters.class_names, ElementsAre("z", "ä", "€", "😀"));
  EXPECT_THAT(characters.features.view<uint8_t>(), ElementsAre(0, 1, 0, 2, 0, 3));
  const Dataset bytes = text(path, {.length = 3, .token = TextToken::kByte});
  EXPECT_EQ(bytes.features.view<uint8_t>().size() % 3, 0u);
  EXPECT_EQ(bytes.class_names.back(), "\xF0");
}

TEST_F(TextCorpus, MoreThan256TokensTakeInt32) {
  std::string many;
  for (uint32_t code = 0x4E00; code != 0x4E00 + 300; ++code) {
    many += text_of(code, TextToken::kCharacter);
  }
  const Dataset dataset = text(write("a.txt", many), {.length = 299});
  EXPECT_EQ(dataset.features.describe(), "int32[1,299]");
  EXPECT_EQ(dataset.classes, 300);
  EXPECT_EQ(dataset.labels.view<int32_t>()[0], 299);
}

TEST_F(TextCorpus, OwnersAreFilesLinesOrSpeakers) {
  write("b.txt", "bbbb");
  write("a.txt", "aaaa");
  fs::create_symlink("a.txt", folder_ / "c.txt");
  const Dataset files = text(folder_, {.length = 1});
  EXPECT_THAT(files.natural_names, ElementsAre("a.txt", "b.txt"));
  EXPECT_THAT(files.natural_ids.view<int32_t>(), ElementsAre(0, 0, 0, 1, 1, 1));

  const fs::path play = write("play/h.txt", "prologue\nHAM:\nto be\nOPH:\nmy lord\nHAM:\nor not\n");
  const Dataset lines = text(play, {.length = 5, .owner = TextOwner::kLine});
  EXPECT_THAT(lines.natural_names, ElementsAre("h.txt:1", "h.txt:3", "h.txt:5", "h.txt:7"));
  const Dataset speakers = text(play, {.length = 12, .owner = TextOwner::kSpeaker});
  EXPECT_THAT(speakers.natural_names, ElementsAre("HAM"));  // "to be\nor not\n" is 13 long
}

TEST_F(TextCorpus, NoWindowCrossesFromOwnerToOwner) {
  EXPECT_TRUE(rc::check("windows are parts of their owner's text", [this] {
    const auto letters = rc::gen::container<std::string>(rc::gen::element('a', 'b', '\n'));
    const std::string content = *letters;
    const auto length = *rc::gen::inRange<int64_t>(1, 4);
    const auto stride = *rc::gen::inRange<int64_t>(0, 4);
    const fs::path path = write("law.txt", content);
    const auto dataset =
        load_text(path, {.length = length, .stride = stride, .owner = TextOwner::kLine});
    // By the definition, line by line.
    std::vector<std::string> expected;
    const int64_t step = stride == 0 ? length : stride;
    for (size_t at = 0; at < content.size();) {
      const size_t end = std::min(content.find('\n', at), content.size() - 1) + 1;
      const std::string line = content.substr(at, end - at);
      for (int64_t i = 0; i + length < static_cast<int64_t>(line.size()); i += step) {
        expected.push_back(line.substr(static_cast<size_t>(i), static_cast<size_t>(length + 1)));
      }
      at = end;
    }
    RC_ASSERT(dataset.ok() == !expected.empty());
    if (!dataset.ok()) return;
    RC_ASSERT(static_cast<size_t>(dataset->size()) == expected.size());
    for (size_t i = 0; i != expected.size(); ++i) {
      std::string window;
      for (size_t j = 0; j != static_cast<size_t>(length); ++j) {
        const auto code = dataset->features.view<uint8_t>()[i * static_cast<size_t>(length) + j];
        window += dataset->class_names[code];
      }
      window += dataset->class_names[static_cast<size_t>(dataset->labels.view<int32_t>()[i])];
      RC_ASSERT(window == expected[i]);
    }
  }));
}

TEST_F(TextCorpus, GivenVocabularyHoldsForEverySite) {
  const fs::path path = write("a.txt", "cab\nbac");
  const Dataset dataset = text(path, {.length = 2, .vocabulary = "\nzabc"});
  EXPECT_THAT(dataset.class_names, ElementsAre("\n", "z", "a", "b", "c"));
  EXPECT_THAT(dataset.features.view<uint8_t>(), ElementsAre(4, 2, 3, 0, 3, 2));
}

TEST_F(TextCorpus, MistakesAreNamedWithLineAndColumn) {
  const fs::path path = write("a.txt",
                              "ab\nc\xFF"
                              "d");
  EXPECT_EQ(error(path), path.string() +
                             ": line 2, column 2: byte 0xff is not UTF-8; convert the file, or "
                             "take bytes as tokens");
  EXPECT_EQ(error(path, {.length = 2, .token = TextToken::kByte}), "");
  write("a.txt", "ab\ncxd");
  EXPECT_EQ(error(path, {.length = 2, .vocabulary = "abcd\n"}),
            path.string() + ": line 2, column 2: \"x\" is not in the vocabulary");
  EXPECT_THAT(error(path, {.length = 2, .vocabulary = "aa"}), HasSubstr("\"a\" occurs twice"));
  EXPECT_THAT(error(path, {.length = 0}), HasSubstr("option length is 0"));
  EXPECT_THAT(error(path, {.length = 2, .stride = -1}), HasSubstr("option stride is -1"));
  EXPECT_THAT(error(folder_ / "none"), HasSubstr("none"));
  fs::create_directories(folder_ / "empty");
  EXPECT_THAT(error(folder_ / "empty"), HasSubstr("no files of text"));
  EXPECT_THAT(error(folder_), HasSubstr("empty: a folder, expected files of text"));
}

TEST(TextTokens, OnlyUtf8IsText) {
  for (const char* wrong : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80",
                            "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xC3", "a\xC3z"}) {
    std::vector<uint32_t> tokens;
    EXPECT_FALSE(append_tokens(wrong, TextToken::kCharacter, 1, tokens).ok()) << wrong;
  }
}

TEST(TextTokens, EveryCodePointComesBackFromItsText) {
  for (uint32_t code = 0; code < 0x110000; code += code < 0x900 ? 1 : 37) {
    if (code >= 0xD800 && code < 0xE000) continue;
    std::vector<uint32_t> tokens;
    ASSERT_TRUE(
        append_tokens(text_of(code, TextToken::kCharacter), TextToken::kCharacter, 1, tokens).ok());
    ASSERT_THAT(tokens, ElementsAre(code));
  }
}

}  // namespace
}  // namespace umbel::data
