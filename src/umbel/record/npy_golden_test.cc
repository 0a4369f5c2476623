#include <gtest/gtest.h>

#include <cstring>

#include "umbel/base/files.h"
#include "umbel/base/sha256.h"
#include "umbel/record/npy.h"

namespace umbel {
namespace {

struct Golden {
  std::string_view dtype;
  Shape shape;
  std::string_view header;  // without its padding
  std::string_view sha256;  // of the whole file
};

// What numpy.save of NumPy 2.2.6 writes; tests/numpy/make_golden.py rows prints this.
const Golden kGolden[] = {
    {"bool",
     {2, 3},
     "{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3), }",
     "122742851ab4d502356d8ad66fb364f007af36df7803235ac275ce0c9e4b2b1f"},
    {"int8",
     {2, 3},
     "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 3), }",
     "2448d9e5e5533d6463340bfe6a180b949cc3fa7c061f819117603499492999c7"},
    {"int16",
     {2, 3},
     "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }",
     "ca1ba319a2c21712025c0dde9f1745bc04df06bb5f8cb4c3513319032a2d4b7d"},
    {"int32",
     {2, 3},
     "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }",
     "dc4319296b2400b7eef5aa1589642b7f12aedf6f4bd91edced2fd676e5cd5a29"},
    {"int64",
     {2, 3},
     "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }",
     "d3e6a8a342c7be38aa14707166c82e52a493687875b353267e9b93304cff14fa"},
    {"uint8",
     {2, 3},
     "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }",
     "fdabcad85b02667ac2e5055aaa6cc41e0d810e9ab0d25c82e00a81bcd1d71233"},
    {"uint16",
     {2, 3},
     "{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3), }",
     "d6dfa6db9774e2d701a45d9795188ac944ffab1673f607b83c7d37cb7dfdbe61"},
    {"uint32",
     {2, 3},
     "{'descr': '<u4', 'fortran_order': False, 'shape': (2, 3), }",
     "334b6b0895530a53a12dca0b8f34453cd021464fdd49c3a1ac9a7d0d2848d978"},
    {"uint64",
     {2, 3},
     "{'descr': '<u8', 'fortran_order': False, 'shape': (2, 3), }",
     "83eb6a015af12e43b03fdb7f7d1e103949f7af7f719f54b8649776d32ed35ddb"},
    {"float16",
     {2, 3},
     "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }",
     "bbee92ea2cc3c8d4151148e0da10883e4e567d13f6d19b3ff2b57d2a934ec4db"},
    {"float32",
     {2, 3},
     "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
     "f64ef0fdca7f2787f87143751b70f6514d4276e0450b19b988cc3e58f14beff7"},
    {"float64",
     {2, 3},
     "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }",
     "ed0d37cca4bd80ad652a1a7120cb5e7699fc72ad9935c9bc39b05c70b4c31b45"},
    {"complex64",
     {2, 3},
     "{'descr': '<c8', 'fortran_order': False, 'shape': (2, 3), }",
     "f211892373f99ec5ec66234861da1160f6d0252f809511f40033825fd76fb60b"},
    {"complex128",
     {2, 3},
     "{'descr': '<c16', 'fortran_order': False, 'shape': (2, 3), }",
     "fb998598ca97e2c06369261555bc260e0d6267261012b948cbc8aa875be8b623"},
    {"float32",
     {},
     "{'descr': '<f4', 'fortran_order': False, 'shape': (), }",
     "eaaa4011e8c7733c90b4d13f07f0027e81e0fbcf293d44c88d7cb89b1d2c216e"},
    {"float32",
     {0},
     "{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }",
     "4e65bac20d7e3ce2d5f45a7e2a99fc25e1ca7ed28d2d729f4e598713da68639f"},
    {"float32",
     {3},
     "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
     "9359bb4a0d18a036e6416f6d817eb95567534a39b2570d14add14143212cbfde"},
    {"float32",
     {2, 3},
     "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
     "f64ef0fdca7f2787f87143751b70f6514d4276e0450b19b988cc3e58f14beff7"},
    {"float32",
     {1, 2, 1, 4, 5},
     "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 1, 4, 5), }",
     "ea295b235fbb507c9042eaf8218c7e0774a664bc2a4f07c92172459c4fe0e58d"},
    {"float32",
     {0, 1099511627776},
     "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1099511627776), }",
     "6f93ebb55847a827506e150631eef8168f05cd103e41b70eefe97cfc1e353eca"},
    {"float32",
     {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
     "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, "
     "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), }",
     "c75a1124c53b7af98488b3e9b3dd11c19a9b17650d755c6918a3bf2640ec60c4"},
    {"float32",
     {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
     "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, "
     "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, "
     "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), }",
     "9444ee4c5d5783630a71a4197e9930ad8476c829906076b246d9ca8a9d68b78e"},
};

// Byte k is (37 k + 11) mod 256; k mod 2 if it is bool.
Array golden_array(const Golden& golden) {
  Array array = Array::uninitialized(*dtype_named(golden.dtype), golden.shape);
  size_t k = 0;
  for (std::byte& byte : array.mutable_bytes()) {
    byte = static_cast<std::byte>(array.dtype() == DType::kBool ? k % 2 : 37 * k + 11);
    ++k;
  }
  return array;
}

TEST(NpyGolden, WriterGivesTheBytesOfNumpySave) {
  const std::string path = testing::TempDir() + "umbel_golden.npy";
  for (const Golden& golden : kGolden) {
    const Array array = golden_array(golden);
    const Result<std::string> header = format_npy_header(array);
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->substr(10, golden.header.size()), golden.header);
    ASSERT_TRUE(write_npy(path, array).ok());
    const Result<std::string> file = read_file(path, 1 << 20);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(sha256_hex(std::as_bytes(std::span(*file))), golden.sha256) << golden.header;
  }
}

TEST(NpyGolden, ReaderTakesWhatNumpySaveWrote) {
  for (const Golden& golden : kGolden) {
    const Array array = golden_array(golden);
    std::string file = *format_npy_header(array);
    file.append(reinterpret_cast<const char*>(array.bytes().data()), array.byte_size());
    ASSERT_EQ(sha256_hex(std::as_bytes(std::span(file))), golden.sha256);
    const Result<Array> read = parse_npy(Buffer::copy_of(std::as_bytes(std::span(file))));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, array);
  }
}

}  // namespace
}  // namespace umbel
