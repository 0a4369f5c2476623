#include "umbel/data/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <bit>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace umbel::data {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}
Result<Array> parse(const std::string& file) { return parse_idx(bytes_of(file), "some.idx"); }
std::string error_of(const std::string& file) { return message_of(parse(file).status()); }

std::string big_endian(uint64_t value, int width) {
  std::string text;
  for (int i = width - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string header(char type, std::initializer_list<uint32_t> extents) {
  std::string text{0, 0, type, static_cast<char>(extents.size())};
  for (const uint32_t extent : extents) text += big_endian(extent, 4);
  return text;
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  ::deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string out(::deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

void expect_array(const std::string& file, const Array& expected) {
  for (const std::string& bytes : {file, gzip(file)}) {
    const auto array = parse(bytes);
    ASSERT_TRUE(array.ok()) << array.status();
    EXPECT_EQ(*array, expected);
  }
}

TEST(Idx, ReadsEveryElementType) {
  expect_array(header(0x08, {2}) + std::string("\x00\xff", 2), Array::of<uint8_t>({0, 255}));
  expect_array(header(0x09, {2}) + "\x80\x7f", Array::of<int8_t>({-128, 127}));
  expect_array(header(0x0B, {2}) + "\x80\x01\x12\x34", Array::of<int16_t>({-32767, 0x1234}));
  expect_array(header(0x0C, {2}) + "\xff\xff\xff\xfe\x12\x34\x56\x78",
               Array::of<int32_t>({-2, 0x12345678}));
  expect_array(header(0x0D, {2}) + big_endian(std::bit_cast<uint32_t>(-1.5f), 4) +
                   big_endian(std::bit_cast<uint32_t>(3e38f), 4),
               Array::of<float>({-1.5f, 3e38f}));
  expect_array(header(0x0E, {1}) + big_endian(std::bit_cast<uint64_t>(1e-300), 8),
               Array::of<double>({1e-300}));
}

TEST(Idx, KeepsTheShape) {
  const auto array = parse(header(0x08, {2, 3, 4}) + std::string(24, 'x'));
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_EQ(array->describe(), "uint8[2,3,4]");
  EXPECT_EQ(parse(header(0x08, {5, 0}))->describe(), "uint8[5,0]");
  EXPECT_EQ(parse(gzip(header(0x08, {5, 0})))->describe(), "uint8[5,0]");
}

TEST(Idx, EveryTruncationIsAnErrorThatNamesTheFile) {
  const std::string plain = header(0x0C, {2, 2}) + std::string(16, 'x');
  for (const std::string& file : {plain, gzip(plain)}) {
    for (size_t bytes = 0; bytes != file.size(); ++bytes) {
      const Status status = parse(file.substr(0, bytes)).status();
      EXPECT_TRUE(absl::IsDataLoss(status)) << bytes << ": " << status;
      EXPECT_THAT(message_of(status), StartsWith("some.idx: "));
    }
  }
}

TEST(Idx, EveryChangedByteOfGzipIsAnErrorOrAnArrayAllTheSame) {
  const std::string plain = header(0x08, {40}) + std::string(20, 'x') + std::string(20, 'y');
  const std::string file = gzip(plain);
  const Array whole = *parse(plain);
  for (size_t i = 0; i != file.size(); ++i) {
    for (int bit = 0; bit != 8; ++bit) {
      std::string damaged = file;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      const auto array = parse(damaged);  // gzip's own header has bytes that mean nothing here
      EXPECT_TRUE(!array.ok() || *array == whole) << "byte " << i << " bit " << bit;
    }
  }
}

TEST(Idx, WrongChecksumIsAnError) {
  std::string file = gzip(header(0x08, {4}) + "abcd");
  file[file.size() - 8] ^= 1;
  EXPECT_THAT(error_of(file), HasSubstr("incorrect data check"));
}

TEST(Idx, TrailingBytesAreAnError) {
  const std::string plain = header(0x08, {4}) + "abcd";
  EXPECT_EQ(error_of(plain + "e"), "some.idx: 5 bytes of elements, uint8[4] has 4");
  EXPECT_THAT(error_of(gzip(plain + "e")), HasSubstr("goes on after the 12 bytes"));
  EXPECT_THAT(error_of(gzip(plain) + "e"), HasSubstr("1 bytes follow the gzip data"));
}

TEST(Idx, BadMagicIsNamed) {
  EXPECT_THAT(error_of("GIF89a.."), HasSubstr("not an IDX file: it starts with 47 49"));
  EXPECT_THAT(error_of(header(0x0A, {1}) + "a"), HasSubstr("element type 0x0a"));
  EXPECT_THAT(error_of(header(0x08, {})), HasSubstr("0 dimensions, expected 1 to 8"));
  EXPECT_THAT(error_of(header(0x08, {1, 1, 1, 1, 1, 1, 1, 1, 1}) + "a"), HasSubstr("9 dimensions"));
}

TEST(Idx, ExtentsWhoseProductOverflowsAreAnError) {
  const uint32_t huge = 0xffffffff;
  for (const std::string& file : {header(0x0E, {huge, huge, huge, huge, huge, huge, huge, huge}),
                                  header(0x08, {huge, huge})}) {
    EXPECT_TRUE(absl::IsInvalidArgument(parse(file).status())) << parse(file).status();
    EXPECT_FALSE(parse(gzip(file)).ok());
  }
}

TEST(Idx, SizeBeyondTheLimitIsAnErrorBeforeAnythingIsAllocated) {
  const std::string file = header(0x0E, {0xffffffff, 100});
  EXPECT_TRUE(absl::IsResourceExhausted(parse(file).status())) << parse(file).status();
  EXPECT_TRUE(absl::IsResourceExhausted(parse(gzip(file)).status()));
}

TEST(Idx, GzipThatCannotHoldWhatItPromisesIsAnErrorBeforeAnythingIsAllocated) {
  EXPECT_THAT(error_of(gzip(header(0x08, {1u << 31}))), HasSubstr("cannot hold the 2147483648"));
}

TEST(Idx, GzipBombUnpacksNoFurtherThanItsHeaderSays) {
  const std::string bomb = gzip(header(0x08, {10}) + std::string(100'000'000, '\0'));
  EXPECT_THAT(error_of(bomb), HasSubstr("goes on after the 18 bytes"));
}

TEST(Idx, ReadsFilesAndNamesThoseThatItCannot) {
  const auto path = std::filesystem::path(testing::TempDir()) / "idx_test.idx";
  std::ofstream(path, std::ios::binary) << header(0x08, {2}) + "ab";
  const auto array = read_idx(path);
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_EQ(*array, Array::of<uint8_t>({'a', 'b'}));
  std::ofstream(path, std::ios::binary) << header(0x08, {2}) + "a";
  EXPECT_THAT(message_of(read_idx(path).status()), StartsWith(path.string() + ": "));
  std::filesystem::remove(path);
  EXPECT_TRUE(absl::IsNotFound(read_idx(path).status()));
}

}  // namespace
}  // namespace umbel::data
