#include "umbel/record/dtype.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace umbel {
namespace {

struct Expected {
  DType dtype;
  std::string_view name;
  size_t bytes;
  size_t alignment;
  char kind;  // NumPy's: b, i, u, f, c
};

const Expected kExpected[] = {
    {DType::kBool, "bool", 1, 1, 'b'},
    {DType::kInt8, "int8", 1, 1, 'i'},
    {DType::kInt16, "int16", 2, 2, 'i'},
    {DType::kInt32, "int32", 4, 4, 'i'},
    {DType::kInt64, "int64", 8, 8, 'i'},
    {DType::kUint8, "uint8", 1, 1, 'u'},
    {DType::kUint16, "uint16", 2, 2, 'u'},
    {DType::kUint32, "uint32", 4, 4, 'u'},
    {DType::kUint64, "uint64", 8, 8, 'u'},
    {DType::kFloat16, "float16", 2, 2, 'f'},
    {DType::kBfloat16, "bfloat16", 2, 2, 'f'},
    {DType::kFloat32, "float32", 4, 4, 'f'},
    {DType::kFloat64, "float64", 8, 8, 'f'},
    {DType::kComplex64, "complex64", 8, 4, 'c'},
    {DType::kComplex128, "complex128", 16, 8, 'c'},
};

TEST(DType, TableIsThatOfNumpyAndBfloat16) {
  std::set<DType> seen;
  for (const Expected& expected : kExpected) {
    seen.insert(expected.dtype);
    EXPECT_EQ(name_of(expected.dtype), expected.name);
    EXPECT_EQ(size_of(expected.dtype), expected.bytes) << expected.name;
    EXPECT_EQ(alignment_of(expected.dtype), expected.alignment) << expected.name;
    EXPECT_EQ(is_integer(expected.dtype), expected.kind == 'i' || expected.kind == 'u');
    EXPECT_EQ(is_floating(expected.dtype), expected.kind == 'f') << expected.name;
    EXPECT_EQ(is_complex(expected.dtype), expected.kind == 'c') << expected.name;
    EXPECT_EQ(dtype_named(expected.name), expected.dtype);
  }
  EXPECT_EQ(seen.size(), size_t{kDTypeCount});
}

TEST(DType, OtherNamesAreNone) {
  for (const std::string_view name : {"", "float", "Float32", "float32 ", "float128", "object"}) {
    EXPECT_EQ(dtype_named(name), std::nullopt) << name;
  }
}

template <class T>
void expect_type(DType dtype) {
  EXPECT_EQ(dtype_of<T>(), dtype);
  EXPECT_EQ(size_of(dtype), sizeof(T));
  EXPECT_EQ(alignment_of(dtype), alignof(T));
}

TEST(DType, EveryTypeHasItsCppType) {
  expect_type<bool>(DType::kBool);
  expect_type<int8_t>(DType::kInt8);
  expect_type<int16_t>(DType::kInt16);
  expect_type<int32_t>(DType::kInt32);
  expect_type<int64_t>(DType::kInt64);
  expect_type<uint8_t>(DType::kUint8);
  expect_type<uint16_t>(DType::kUint16);
  expect_type<uint32_t>(DType::kUint32);
  expect_type<uint64_t>(DType::kUint64);
  expect_type<Float16>(DType::kFloat16);
  expect_type<Bfloat16>(DType::kBfloat16);
  expect_type<float>(DType::kFloat32);
  expect_type<double>(DType::kFloat64);
  expect_type<std::complex<float>>(DType::kComplex64);
  expect_type<std::complex<double>>(DType::kComplex128);
}

}  // namespace
}  // namespace umbel
