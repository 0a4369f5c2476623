#include "umbel/record/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "umbel/base/files.h"
#include "umbel/base/sha256.h"
#include "umbel/record/npy_arbitrary_test.h"

namespace umbel {
namespace {

using testing::HasSubstr;

std::string file_of(const std::string& json, size_t data_bytes) {
  std::string file;
  for (size_t i = 0; i != 8; ++i) file += static_cast<char>(json.size() >> (8 * i));
  return file + json + std::string(data_bytes, '\1');
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(Safetensors, ParseOfFormatIsTheRecord) {
  EXPECT_TRUE(rc::check("parse_safetensors(format(arrays)) == arrays", [] {
    const ArrayRecord arrays = arbitrary_record([](DType dtype) { return !is_complex(dtype); });
    std::string file = *safetensors_header(arrays);
    RC_ASSERT(file.size() % 8 == 0u);
    for (const auto& [name, array] : arrays) file += text_of(array.bytes());
    const Result<ArrayRecord> read = parse_safetensors(bytes_of(file));
    RC_ASSERT(read.ok());
    RC_ASSERT(*read == arrays);
    RC_ASSERT(sha256_hex(std::as_bytes(std::span(file))) == safetensors_sha256(arrays));
  }));
}

TEST(Safetensors, BytesAreThoseOfTheFormat) {
  const ArrayRecord arrays{{"b", Array::of<float>({1})}, {"a", Array::of<uint8_t>({7, 8})}};
  const std::string json = R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                           R"("a":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})";
  const size_t padded = (json.size() + 7) / 8 * 8;
  const std::string expected = file_of(json + std::string(padded - json.size(), ' '), 0) +
                               std::string("\0\0\x80\x3f\7\10", 6);
  const std::string path = testing::TempDir() + "umbel_test.safetensors";
  ASSERT_TRUE(write_safetensors(path, arrays).ok());
  EXPECT_EQ(*read_file(path, 1000), expected);
  EXPECT_EQ(*read_safetensors(path), arrays);
}

TEST(Safetensors, ArraysAreSlicesUnlessMisaligned) {
  const std::string file =
      file_of(R"({"x":)" + entry("U8", "[1]", "[0,1]") + R"(,"y":)" + entry("F32", "[2]", "[1,9]") +
                  R"(,"z":)" + entry("I8", "[3]", "[9,12]") + "}",
              12);
  const Buffer bytes = bytes_of(file);
  const Result<ArrayRecord> arrays = parse_safetensors(bytes);
  ASSERT_TRUE(arrays.ok()) << arrays.status();
  const std::byte* data = bytes.data() + bytes.size() - 12;
  EXPECT_EQ(arrays->at("x").bytes().data(), data);
  EXPECT_EQ(arrays->at("z").bytes().data(), data + 9);
  const auto y = reinterpret_cast<uintptr_t>(arrays->at("y").bytes().data());
  EXPECT_EQ(y % alignof(float), 0u);
  EXPECT_EQ(text_of(arrays->at("y").bytes()), std::string(8, '\1'));
}

TEST(Safetensors, OrderIsThatOfTheOffsetsAndMetadataIsIgnored) {
  const std::string file = file_of(R"({"late":)" + entry("U8", "[2]", "[1,3]") +
                                       R"(,"__metadata__":{"format":"pt","dtype":"x"},"empty":)" +
                                       entry("I64", "[0,5]", "[1,1]") + R"(,"early":)" +
                                       entry("I8", "[]", "[0,1]") + "}   ",
                                   3);
  const Result<ArrayRecord> arrays = parse_safetensors(bytes_of(file));
  ASSERT_TRUE(arrays.ok()) << arrays.status();
  EXPECT_EQ(arrays->names(), "early, empty, late");
}

struct Hostile {
  std::string file;
  std::string reason;
};

std::vector<Hostile> hostile_files() {
  const auto one = [](const std::string& value, size_t data_bytes = 8) {
    return file_of("{\"a\":" + value + "}", data_bytes);
  };
  const auto two = [](const std::string& a, const std::string& b, size_t data_bytes) {
    return file_of("{\"a\":" + entry("U8", "[4]", a) + ",\"b\":" + entry("U8", "[4]", b) + "}",
                   data_bytes);
  };
  return {
      {"", "not even a header's length"},
      {"1234567", "not even a header's length"},
      {std::string(8, '\xff') + "{}", "header of 18446744073709551615 bytes, the limit"},
      {std::string("\1\xe1\xf5\5\0\0\0\0", 8) + "{}", "header of 100000001 bytes, the limit"},
      {std::string("\3\0\0\0\0\0\0\0{}", 10), "header of 3 bytes, the file has 2 left"},
      {file_of("", 0), "does not start with '{'"},
      {file_of(" {}", 0), "does not start with '{'"},
      {file_of("\xef\xbb\xbf{}", 0), "does not start with '{'"},
      {file_of("[]", 0), "does not start with '{'"},
      {file_of("{", 0), "not JSON"},
      {file_of("{} x", 0), "not JSON"},
      {file_of("{\"\xff\":1}", 0), "not JSON"},
      {file_of(std::string("{}\0", 3), 0), "not JSON"},
      {file_of(R"({"a":1})", 0), "a number where the format has none"},
      {file_of(R"({"a":null})", 0), "null where"},
      {file_of(R"({"a":[]})", 0), "a list where"},
      {file_of(R"({"a":)" + std::string(100'000, '['), 0), "a list where"},
      {file_of(R"({"__metadata__":{"a":1}})", 0), "a number where"},
      {file_of(R"({"__metadata__":{"a":{}}})", 0), "an object where"},
      {file_of(R"({"__metadata__":{"a":"1","a":"2"}})", 0), "appears twice"},
      {file_of(R"({"__metadata__":{},"__metadata__":{}})", 0), "appears twice"},
      {one("{}"), "expected dtype, shape and data_offsets"},
      {one(R"({"dtype":"U8","shape":[8]})"), "expected dtype, shape and data_offsets"},
      {one(R"({"dtype":"U8","dtype":"U8"})"), "key \"dtype\" appears twice"},
      {one(R"({"strides":[1]})"), "unknown key \"strides\""},
      {one(R"({"shape":{}})"), "an object where"},
      {one(R"({"shape":[[1]]})"), "a list where"},
      {one(R"({"shape":["1"]})"), "a text where"},
      {one(R"({"dtype":[1]})"), "a list where"},
      {one(R"({"shape":true})"), "a truth value where"},
      {one(entry("F8_E4M3", "[8]", "[0,8]")), "dtype \"F8_E4M3\" is not supported"},
      {one(entry("", "[8]", "[0,8]")), "dtype \"\" is not supported"},
      {one(entry("U8", "[-8]", "[0,8]")), "a negative number"},
      {one(entry("U8", "[8.0]", "[0,8]")), "a broken number"},
      {one(entry("U8", "[18446744073709551616]", "[0,8]")), "a broken number"},
      {one(entry("U8", "[9223372036854775808]", "[0,8]")), "extent beyond 2^63"},
      {one(entry("F64", "[2305843009213693953]", "[0,8]")), "more than 2^48"},
      {one(entry("U8", "[4294967296,4294967296]", "[0,0]"), 0), "more than 2^48"},
      {one(entry("U8", "[8]", "[0]")), "not two numbers"},
      {one(entry("U8", "[8]", "[0,8,8]")), "not two numbers"},
      {one(entry("U8", "[8]", "[8,0]")), "starts at byte 8"},
      {one(entry("U8", "[8]", "[0,9]")), "lies at bytes 0 to 9 of the data, which are 8 long"},
      {one(entry("U8", "[8]", "[0,18446744073709551615]")), "which are 8 long"},
      {one(entry("F32", "[8]", "[0,8]")), "float32[8] takes 32 bytes, data_offsets give it 8"},
      {one(entry("U8", "[7]", "[0,7]")), "8 bytes of data, the arrays take 7"},
      {file_of("{}", 1), "1 bytes of data, the arrays take 0"},
      {two("[0,4]", "[3,7]", 8),
       "\"b\": starts at byte 3 of the data, the array before it ends at 4"},
      {two("[0,4]", "[5,9]", 9), "\"b\": starts at byte 5"},
      {two("[0,4]", "[0,4]", 4), "\"b\": starts at byte 0"},
      {file_of(
           "{\"a\":" + entry("U8", "[4]", "[0,4]") + ",\"a\":" + entry("U8", "[4]", "[4,8]") + "}",
           8),
       "array \"a\": appears twice"},
  };
}

TEST(Safetensors, HostileFilesAreRefusedWithTheirReasonAndWithoutMemory) {
  for (const auto& [file, reason] : hostile_files()) {
    const Buffer bytes = bytes_of(file);
    const LargestAllocation watch;
    const Result<ArrayRecord> read = parse_safetensors(bytes);
    EXPECT_LE(watch.bytes(), 4096 + 4 * file.size()) << reason;
    ASSERT_FALSE(read.ok()) << reason;
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(message_of(read.status()), HasSubstr(reason));
    EXPECT_LT(read.status().message().size(), 400u);
  }
}

TEST(Safetensors, TooManyDimensionsAreRefused) {
  std::string shape = "[1";
  for (int i = 0; i != 64; ++i) shape += ",1";
  const Result<ArrayRecord> read =
      parse_safetensors(bytes_of(file_of("{\"a\":" + entry("U8", shape + "]", "[0,1]") + "}", 1)));
  EXPECT_THAT(message_of(read.status()), HasSubstr("more than 64 dimensions"));
}

TEST(Safetensors, TruncationAnywhereIsRefused) {
  const std::string file = file_of("{\"a\":" + entry("U8", "[4]", "[0,4]") + "}", 4);
  for (size_t bytes = 0; bytes != file.size(); ++bytes) {
    EXPECT_FALSE(parse_safetensors(bytes_of(file.substr(0, bytes))).ok()) << bytes;
  }
  EXPECT_TRUE(parse_safetensors(bytes_of(file)).ok());
}

TEST(Safetensors, WhatTheFormatCannotSayIsRefusedAndTheFileKept) {
  const std::string path = testing::TempDir() + "umbel_kept.safetensors";
  ASSERT_TRUE(write_file_atomic(path, "before").ok());
  const Array one = Array::of<float>({1});
  const Status complex = write_safetensors(path, {{"z", Array::zeros(DType::kComplex64, {1})}});
  EXPECT_THAT(message_of(complex),
              HasSubstr("array \"z\": a .safetensors file cannot hold complex64"));
  EXPECT_FALSE(write_safetensors(path, {{"__metadata__", one}}).ok());
  EXPECT_FALSE(write_safetensors(path, {{"\xff", one}}).ok());
  EXPECT_THROW(safetensors_sha256({{"\xff", one}}), Error);
  EXPECT_EQ(*read_file(path, 100), "before");
  EXPECT_THAT(message_of(read_safetensors(path).status()),
              HasSubstr(path + ": safetensors: 6 bytes"));
}

}  // namespace
}  // namespace umbel
