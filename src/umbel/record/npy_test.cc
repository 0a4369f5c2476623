#include "umbel/record/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <bit>
#include <fstream>

#include "umbel/base/files.h"
#include "umbel/record/npy_arbitrary_test.h"
#include "umbel/record/npy_header.h"

namespace umbel {
namespace {

using testing::HasSubstr;

std::string dict(const std::string& descr, const std::string& order, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
}

TEST(Npy, ParseOfFormatIsTheArray) {
  EXPECT_TRUE(rc::check("parse_npy(format(array)) == array", [] {
    const Array array = arbitrary_array([](DType dtype) { return dtype != DType::kBfloat16; });
    const std::string file = *format_npy_header(array) + text_of(array.bytes());
    const Result<Array> read = parse_npy(bytes_of(file));
    RC_ASSERT(read.ok());
    RC_ASSERT(*read == array);
  }));
}

// The loop a student would write: element (i, j, ...) of a Fortran array is at i + n0 (j + n1 ...).
TEST(Npy, FortranOrderBecomesCOrder) {
  EXPECT_TRUE(rc::check("Fortran order", [] {
    const Array array = arbitrary_array([](DType dtype) { return dtype != DType::kBfloat16; });
    const Shape& shape = array.shape();
    const size_t width = size_of(array.dtype());
    std::string data(array.byte_size(), '\0');
    for (int64_t flat = 0; flat != array.size(); ++flat) {
      int64_t rest = flat;
      int64_t place = 0;
      Shape index(shape.size());
      for (size_t i = shape.size(); i-- != 0; rest /= shape[i]) index[i] = rest % shape[i];
      for (size_t i = shape.size(); i-- != 0;) place = place * shape[i] + index[i];
      std::memcpy(data.data() + place * width, array.bytes().data() + flat * width, width);
    }
    std::string header = *format_npy_header(array);
    header.replace(header.find("False"), 5, "True ");
    const Result<Array> read = parse_npy(bytes_of(header + data));
    RC_ASSERT(read.ok());
    RC_ASSERT(*read == array);
  }));
}

TEST(Npy, BigEndianIsSwappedNumberByNumber) {
  const std::string shorts = npy_file(dict(">i2", "False", "(2,)"), 0) + std::string("\1\2\3\4", 4);
  EXPECT_EQ(*parse_npy(bytes_of(shorts)), Array::of<int16_t>({0x0102, 0x0304}));
  const std::string complex =
      npy_file(dict(">c8", "False", "(1,)"), 0) + std::string("\x3f\x80\0\0\xc0\0\0\0", 8);
  EXPECT_EQ(*parse_npy(bytes_of(complex)), Array::of<std::complex<float>>({{1.0f, -2.0f}}));
  const std::string byte = npy_file(dict(">u1", "False", "(1,)"), 0) + "\7";
  EXPECT_EQ(*parse_npy(bytes_of(byte)), Array::of<uint8_t>({7}));
}

TEST(Npy, AlignedNativeDataAreNotCopied) {
  const Array array = Array::of<float>({1, 2, 3});
  const Buffer file = bytes_of(*format_npy_header(array) + text_of(array.bytes()) + "trailing");
  const Result<Array> read = parse_npy(file);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->bytes().data(), file.data() + 128);
  EXPECT_EQ(*read, array);
}

TEST(Npy, MisalignedDataAreCopiedToAnAlignedPlace) {
  const std::string file = npy_file(dict("<f8", "False", "(1,)") + " ", 8);
  for (size_t shift = 0; shift != 8; ++shift) {
    const Buffer moved = bytes_of(std::string(shift, 'x') + file);
    const Result<Array> read = parse_npy(moved.slice(shift, file.size()));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(read->bytes().data()) % alignof(double), 0u);
    EXPECT_EQ(read->view<double>()[0], 0.0);
  }
}

TEST(Npy, SpellingsOfOtherWritersAreRead) {
  const std::pair<std::string, std::string> spellings[] = {
      {"{\"shape\":(2,),\"descr\":\"f4\",\"fortran_order\":False}", "float32[2]"},
      {" \t{ 'shape' : ( 2 , 1 ) ,\n'fortran_order'\t: True , 'descr' : '|u1' }\r\n \n",
       "uint8[2,1]"},
      {"{'descr': '?', 'fortran_order': False, 'shape': (2L, 1L, )}", "bool[2,1]"},
      {"{'descr': 'float64', 'fortran_order': False, 'shape': (1_0, +0)}", "float64[10,0]"},
      {"{'descr': '=i8', 'fortran_order': False, 'shape': ()}", "int64[]"},
      {"{'descr': '<c16', 'fortran_order': False, 'shape': (0, 1099511627776)}",
       "complex128[0,1099511627776]"},
      {"{'descr': 'b', 'fortran_order': False, 'shape': (-0, 00)}", "int8[0,0]"},
  };
  for (const auto& [text, expected] : spellings) {
    const Result<Array> read = parse_npy(bytes_of(npy_file(text, 16)));
    ASSERT_TRUE(read.ok()) << text << ": " << read.status();
    EXPECT_EQ(read->describe(), expected);
  }
  EXPECT_FALSE(parse_npy(bytes_of(npy_file(spellings[2].first, 16, 3))).ok()) << "L in version 3";
  EXPECT_TRUE(parse_npy(bytes_of(npy_file(spellings[0].first, 16, 3))).ok());
}

struct Hostile {
  std::string file;
  std::string reason;
};

std::vector<Hostile> hostile_files() {
  const std::string good = dict("<f4", "False", "(2,)");
  const auto with = [](const std::string& descr, const std::string& order,
                       const std::string& shape) {
    return npy_file(dict(descr, order, shape), 64);
  };
  std::string nested(900, '(');
  std::vector<Hostile> files = {
      {"", "does not start"},
      {"\x93NUMPX", "does not start"},
      {std::string("\x93NUMPY\1", 7), "ends before its version"},
      {npy_file(good, 8, 4), "format version 4.0"},
      {npy_file(good, 8, 0), "format version 0.0"},
      {std::string("\x93NUMPY\1\1", 8), "format version 1.1"},
      {std::string("\x93NUMPY\1\0\1", 9), "header's length"},
      {std::string("\x93NUMPY\1\0\xff\x20{}", 12), "the file has 2 left"},
      {std::string("\x93NUMPY\2\0\xff\xff\xff\xff{}", 14), "header of 4294967295 characters"},
      {npy_file(good + std::string(10'001 - good.size(), ' '), 8), "10001 characters"},
      {npy_file("", 8), "expected '{'"},
      {npy_file("[]", 8), "expected '{'"},
      {npy_file("\n" + good, 8), "expected '{'"},
      {npy_file("{}", 8), "\"descr\" is missing"},
      {npy_file("{'descr': '<f4'}", 8), "\"fortran_order\" is missing"},
      {npy_file(good.substr(0, good.size() - 1), 8), "a key in quotes"},
      {npy_file(good + "x", 8), "nothing after the dict"},
      {npy_file(good + "\n ", 8), "last line does not end"},
      {npy_file("{'shape': (), 'shape': (),}", 8), "\"shape\" appears twice"},
      {npy_file("{'sha\\x70e': ()}", 8), "plain ASCII"},
      {npy_file("{'extra': 1}", 8), "\"extra\" is not one of"},
      {npy_file("{'descr: 1}", 8), "a string with an end"},
      {npy_file("{'descr': f4}", 8), "descr in quotes"},
      {with("<f4", "0", "(2,)"), "True or False"},
      {with("<f4", "Falsehood", "(2,)"), "True or False"},
      {with("<f4", "False", "2"), "expected '('"},
      {with("<f4", "False", "(2)"), "expected a tuple"},
      {with("<f4", "False", "[2]"), "expected '('"},
      {with("<f4", "False", "(2,,)"), "a whole number"},
      {with("<f4", "False", "(2 2)"), "',' or ')'"},
      {with("<f4", "False", "(2.0,)"), "',' or ')'"},
      {with("<f4", "False", "(0x2,)"), "',' or ')'"},
      {with("<f4", "False", "(02,)"), "leading zeros"},
      {with("<f4", "False", "(1+1,)"), "',' or ')'"},
      {with("<f4", "False", "(True,)"), "a whole number"},
      {with("<f4", "False", "(__import__('os').system('id'),)"), "a whole number"},
      {with("<f4", "False", nested), "a whole number"},
      {with("<f4", "False", "(-1,)"), "negative extent"},
      {with("<f4", "False", "(9223372036854775808,)"), "below 2^63"},
      {with("<f4", "False", "(4294967296, 4294967296)"), "more than 2^48"},
      {with("<f4", "False", "(0, 4611686018427387904, 4)"), "more than 2^48"},
      {with("<f4", "False", "(100000000000000,)"), "takes 400000000000000 bytes, the file has 64"},
      {with("<f4", "False", "(17,)"), "takes 68 bytes, the file has 64 left"},
      {with("|O", "False", "(2,)"), "object (pickled) elements"},
      {with("|V8", "False", "(2,)"), "void elements"},
      {with("<V2", "False", "(2,)"), ".safetensors"},
      {with("|V0", "False", "(2,)"), "void elements"},
      {with("|S4", "False", "(2,)"), "string elements"},
      {with("<U1", "False", "(2,)"), "string elements"},
      {with("<M8[ns]", "False", "(2,)"), "datetime elements"},
      {with("<f16", "False", "(2,)"), "long double elements"},
      {with("f4,f4", "False", "(2,)"), "structured elements"},
      {with("<f3", "False", "(2,)"), "not a NumPy element type"},
      {with("", "False", "(2,)"), "not a NumPy element type"},
      {npy_file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", 8), "structured"},
  };
  std::string rank65 = "(";
  for (int i = 0; i != 65; ++i) rank65 += "1,";
  files.push_back({with("<f4", "False", rank65 + ")"), "more than 64 dimensions"});
  return files;
}

TEST(Npy, HostileHeadersAreRefusedWithTheirReasonAndWithoutMemory) {
  for (const auto& [file, reason] : hostile_files()) {
    const Buffer bytes = bytes_of(file);
    const LargestAllocation watch;
    const Result<Array> read = parse_npy(bytes);
    EXPECT_LE(watch.bytes(), 4096u) << reason;
    ASSERT_FALSE(read.ok()) << reason;
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(message_of(read.status()), HasSubstr(reason));
    EXPECT_LT(read.status().message().size(), 300u);
  }
}

TEST(Npy, TruncationAnywhereIsRefused) {
  const std::string file = npy_file(dict("<i4", "False", "(2, 2)"), 16);
  for (size_t bytes = 0; bytes != file.size(); ++bytes) {
    EXPECT_FALSE(parse_npy(bytes_of(file.substr(0, bytes))).ok()) << bytes;
  }
  EXPECT_TRUE(parse_npy(bytes_of(file)).ok());
}

TEST(Npy, BoolBytesAreKept) {
  const std::string file = npy_file(dict("|b1", "False", "(3,)"), 0) + std::string("\0\1\2", 3);
  EXPECT_EQ(text_of(parse_npy(bytes_of(file))->bytes()), std::string("\0\1\2", 3));
}

TEST(Npy, FilesAreWrittenAndMapped) {
  const std::string path = testing::TempDir() + "umbel_npy_test.npy";
  const Array array = Array::copy_of<int64_t>(std::vector<int64_t>{1, -2, 3, -4}, {2, 2});
  ASSERT_TRUE(write_npy(path, array).ok());
  EXPECT_EQ(*read_npy(path), array);
  ASSERT_TRUE(write_file_atomic(path, "not an array").ok());
  EXPECT_THAT(message_of(read_npy(path).status()), HasSubstr(path + ": not an .npy file"));
  ASSERT_TRUE(write_file_atomic(path, "").ok());
  EXPECT_THAT(message_of(read_npy(path).status()), HasSubstr("not an .npy file"));
  EXPECT_FALSE(read_npy(path + ".absent").ok());
}

TEST(Npy, RefusedWriteLeavesTheFileAsItWas) {
  const std::string path = testing::TempDir() + "umbel_npy_kept.npy";
  ASSERT_TRUE(write_file_atomic(path, "before").ok());
  const Status status = write_npy(path, Array::zeros(DType::kBfloat16, {2}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message_of(status), HasSubstr("cannot hold bfloat16: save it as .safetensors"));
  EXPECT_FALSE(write_npy(path, Array::zeros(DType::kInt8, Shape(65, 1))).ok());
  EXPECT_EQ(*read_file(path, 100), "before");
}

}  // namespace
}  // namespace umbel
