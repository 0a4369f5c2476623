#include "umbel/data/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>

#include "umbel/data/image_samples_test.h"

namespace umbel::data {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

bool has_png_and_jpeg() { return image_formats().starts_with("PNG"); }

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
Array decoded(std::string_view hex, int channels = 0) {
  return or_throw(decode_image(from_hex(hex), channels));
}
Status refused(std::string_view hex) { return decode_image(from_hex(hex)).status(); }
std::vector<int> numbers(const Array& image) {
  const auto pixels = image.view<uint8_t>();
  return {pixels.begin(), pixels.end()};
}
std::string error_of(std::string_view text) {
  return message_of(decode_image(bytes_of(text)).status());
}

TEST(Image, PgmAndPpmAreReadAsTheirRulesSay) {
  const Array grey =
      or_throw(decode_image(bytes_of("P5\n# a comment\n3 2 # another\n255\nabcdef")));
  EXPECT_EQ(grey.describe(), "uint8[2,3]");
  EXPECT_THAT(numbers(grey), ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
  const Array colour = or_throw(decode_image(bytes_of("P6 1 2 255 abcdef")));
  EXPECT_EQ(colour.describe(), "uint8[2,1,3]");
}

TEST(Image, PgmSamplesOfOtherRangesAreScaledToEightBits) {
  EXPECT_THAT(numbers(or_throw(decode_image(bytes_of(std::string_view("P5 3 1 3 \0\1\3", 12))))),
              ElementsAre(0, 85, 255));
  const std::string_view wide("P5 2 1 65535 \x80\x80\xff\xff", 17);
  EXPECT_THAT(numbers(or_throw(decode_image(bytes_of(wide)))), ElementsAre(128, 255));
  EXPECT_THAT(error_of(std::string_view("P5 1 1 3 \4", 10)), HasSubstr("a sample of 4"));
}

TEST(Image, WrongPnmHeadersAreRefusedWithTheirReason) {
  EXPECT_THAT(error_of("P5 3 2 255 abcde"), HasSubstr("5 bytes of samples, 3 x 2 has 6"));
  EXPECT_THAT(error_of("P5 3 2 255 abcdefg"), HasSubstr("7 bytes of samples"));
  EXPECT_THAT(error_of("P5 3 2"), HasSubstr("cut off within the header"));
  EXPECT_THAT(error_of("P5 # no end"), HasSubstr("cut off within the header"));
  EXPECT_THAT(error_of("P5 3 -2 255 a"), HasSubstr("no height"));
  EXPECT_THAT(error_of("P5 0 2 255 "), HasSubstr("an image of 0 x 2"));
  EXPECT_THAT(error_of("P5 1 1 0 a"), HasSubstr("the greatest value is 0"));
  EXPECT_THAT(error_of("P5 1 1 65536 a"), HasSubstr("the greatest value is 65536"));
  EXPECT_THAT(error_of("P2 1 1 255 7"), HasSubstr("P2: of the PNM formats only"));
}

TEST(Image, SizesBeyondTheLimitsAreRefusedBeforeAnythingIsAllocated) {
  for (const char* text : {"P5 32769 1 255 ", "P5 1 32769 255 ", "P6 32768 32768 255 ",
                           "P5 99999999999999999999 1 255 "}) {
    EXPECT_TRUE(absl::IsResourceExhausted(decode_image(bytes_of(text)).status())) << text;
  }
}

TEST(Image, OtherFilesAreNotImages) {
  EXPECT_THAT(error_of("GIF89a"), HasSubstr("not an image of a known format"));
  EXPECT_THAT(error_of(""), HasSubstr("the file is empty"));
  EXPECT_THAT(error_of("P"), HasSubstr("not an image"));
}

TEST(Image, ChannelsAreMadeAsAskedFor) {
  const std::string_view colour("P6 2 1 255 \x0a\x14\x1e\xff\xff\xff", 17);
  const Array grey = or_throw(decode_image(bytes_of(colour), 1));
  EXPECT_EQ(grey.describe(), "uint8[1,2]");
  EXPECT_THAT(numbers(grey), ElementsAre(18, 255));  // (2990 + 11740 + 3420) / 1000 = 18.15
  const Array three = or_throw(decode_image(bytes_of("P5 2 1 255 ab"), 3));
  EXPECT_EQ(three.describe(), "uint8[1,2,3]");
  EXPECT_THAT(numbers(three), ElementsAre('a', 'a', 'a', 'b', 'b', 'b'));
  EXPECT_FALSE(decode_image(bytes_of("P5 2 1 255 ab"), 4).ok());
}

TEST(Image, PngOfEveryKindIsReadOrItsLibraryNamed) {
  if (!has_png_and_jpeg()) {
    EXPECT_THAT(message_of(refused(kGreyPng)), HasSubstr("install libpng-dev"));
    return;
  }
  EXPECT_EQ(decoded(kGreyPng).describe(), "uint8[2,3]");
  EXPECT_THAT(numbers(decoded(kGreyPng)), ElementsAre(1, 2, 3, 4, 5, 255));
  EXPECT_EQ(decoded(kColourPng).describe(), "uint8[1,2,3]");
  EXPECT_THAT(numbers(decoded(kColourPng)), ElementsAre(10, 20, 30, 200, 50, 60));
  EXPECT_THAT(numbers(decoded(kTransparentPng)), ElementsAre(10, 20, 30));
  EXPECT_THAT(numbers(decoded(kGreyAlphaPng)), ElementsAre(7, 9));
  EXPECT_THAT(numbers(decoded(kGrey16Png)), ElementsAre(128, 255));
  EXPECT_THAT(numbers(decoded(kPalettePng)), ElementsAre(250, 251, 252, 1, 2, 3));
}

TEST(Image, JpegIsReadOrItsLibraryNamed) {
  if (!has_png_and_jpeg()) {
    EXPECT_THAT(message_of(refused(kGreyJpeg)), HasSubstr("install libjpeg62-turbo-dev"));
    return;
  }
  EXPECT_EQ(decoded(kGreyJpeg).describe(), "uint8[8,8]");
  EXPECT_THAT(numbers(decoded(kGreyJpeg)), Each(testing::AllOf(testing::Ge(98), testing::Le(102))));
  const Array colour = decoded(kColourJpeg);
  EXPECT_EQ(colour.describe(), "uint8[2,4,3]");
  for (size_t i = 0; i != 24; ++i) {
    EXPECT_NEAR(numbers(colour)[i], i % 3 == 0 ? 200 : 50, 4) << i;
  }
  const std::vector<int> ramp = numbers(decoded(kProgressiveJpeg));
  for (size_t i = 0; i != 64; ++i) EXPECT_NEAR(ramp[i], 4 * static_cast<int>(i), 6) << i;
  EXPECT_THAT(message_of(refused(kCmykJpeg)), HasSubstr("four inks"));
}

TEST(Image, EveryTruncationOfAPngOrJpegIsRefused) {
  if (!has_png_and_jpeg()) return;
  for (const std::string_view hex : {kGreyPng, kPalettePng, kGreyJpeg, kColourJpeg}) {
    // A PNG's last chunk (12 bytes) and a JPEG's last mark (2) carry no pixels.
    const size_t tail = hex.starts_with("89") ? 12 : 2;
    for (size_t bytes = 1; bytes < hex.size() / 2 - tail; ++bytes) {
      EXPECT_FALSE(decode_image(from_hex(hex.substr(0, 2 * bytes))).ok()) << hex << " " << bytes;
    }
  }
}

TEST(Image, DamagedAndHugePngsAreRefused) {
  if (!has_png_and_jpeg()) return;
  std::string damaged(kGreyPng);
  damaged[2 * 45] = damaged[2 * 45] == '0' ? '1' : '0';  // within the pixels
  EXPECT_TRUE(absl::IsDataLoss(refused(damaged))) << refused(damaged);
  EXPECT_TRUE(absl::IsResourceExhausted(refused(kBombPng))) << refused(kBombPng);
  EXPECT_TRUE(absl::IsResourceExhausted(refused(kWidePng))) << refused(kWidePng);
}

// The mean over the area, by the definition, in exact integers.
int area_mean(const Array& image, int64_t height, int64_t width, int64_t y, int64_t x) {
  const int64_t rows = image.shape()[0];
  const int64_t columns = image.shape()[1];
  const auto pixels = image.view<uint8_t>();
  int64_t sum = 0;
  // The input cut into pieces of 1/height by 1/width of a pixel.
  for (int64_t v = y * rows; v != (y + 1) * rows; ++v) {
    for (int64_t u = x * columns; u != (x + 1) * columns; ++u) {
      sum += pixels[static_cast<size_t>(v / height * columns + u / width)];
    }
  }
  return static_cast<int>((sum + rows * columns / 2) / (rows * columns));
}

TEST(Image, ResizedPixelsAreTheMeansOfTheAreasThatTheyCover) {
  EXPECT_TRUE(rc::check("resize_image is the mean by its definition", [] {
    const auto side = [] { return *rc::gen::inRange<int64_t>(1, 12); };
    const Shape shape{side(), side()};
    Array image = Array::uninitialized(DType::kUint8, shape);
    for (uint8_t& pixel : image.mutable_view<uint8_t>()) pixel = *rc::gen::arbitrary<uint8_t>();
    const int64_t height = side();
    const int64_t width = side();
    const Array resized = resize_image(image, height, width);
    RC_ASSERT((resized.shape() == Shape{height, width}));
    for (int64_t y = 0; y != height; ++y) {
      for (int64_t x = 0; x != width; ++x) {
        RC_ASSERT(int{resized.view<uint8_t>()[static_cast<size_t>(y * width + x)]} ==
                  area_mean(image, height, width, y, x));
      }
    }
  }));
}

TEST(Image, ResizingTreatsEachChannelAlone) {
  const Array image =
      Array::copy_of<uint8_t>(std::vector<uint8_t>{0, 10, 255, 2, 30, 255}, {1, 2, 3});
  EXPECT_THAT(numbers(resize_image(image, 1, 1)), ElementsAre(1, 20, 255));
}

}  // namespace
}  // namespace umbel::data
