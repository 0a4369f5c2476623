#include "umbel/record/array.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace umbel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Array, ViewsAreTheElements) {
  const Array array = Array::copy_of<float>(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ(array.describe(), "float32[2,3]");
  EXPECT_EQ(array.size(), 6);
  EXPECT_EQ(array.byte_size(), 24u);
  EXPECT_THAT(array.view<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(Array::of<bool>({true, false}).view<bool>(), ElementsAre(true, false));
  EXPECT_THAT(Array::zeros(DType::kInt16, {2}).view<int16_t>(), ElementsAre(0, 0));
  EXPECT_EQ(Array::zeros(DType::kFloat64, {}).size(), 1);
  EXPECT_EQ(Array().size(), 0);
}

TEST(Array, ReadingAsAnotherTypeIsAnError) {
  Array array = Array::of<float>({1});
  try {
    array.view<double>();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "array is float32[1], it was read as float64");
  }
  EXPECT_THROW(array.mutable_view<int32_t>(), Error);
}

TEST(Array, MakeHoldsTheBytesAgainstTheShape) {
  const Status status = Array::make(DType::kFloat32, {2, 3}, Buffer::zeros(23)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(message_of(status), "array of float32[2,3] takes 24 bytes, got 23");
  EXPECT_FALSE(Array::make(DType::kInt8, {-1}, Buffer()).ok());
  EXPECT_TRUE(Array::make(DType::kFloat32, {5, 0}, Buffer()).ok());
}

TEST(Array, ShapesThatOverflowAreRefused) {
  const int64_t huge = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(*element_count({int64_t{1} << 48}), int64_t{1} << 48);
  EXPECT_EQ(*element_count({0, int64_t{1} << 48}), 0);
  EXPECT_EQ(*element_count({}), 1);
  for (const Shape& shape : {Shape{huge, huge}, Shape{(int64_t{1} << 48) + 1}, Shape{0, huge, huge},
                             Shape{int64_t{1} << 32, int64_t{1} << 32}}) {
    EXPECT_FALSE(element_count(shape).ok()) << to_string(shape);
    EXPECT_THROW(Array::zeros(DType::kFloat64, shape), Error);
  }
  EXPECT_THAT(message_of(element_count({2, -3}).status()),
              HasSubstr("[2,-3] has a negative extent"));
}

TEST(Array, MisalignedBytesAreCopiedAndAlignedOnesAreNot) {
  const Buffer bytes = Buffer::zeros(64);
  const Array shared = *Array::make(DType::kFloat64, {4}, bytes.slice(8, 32));
  EXPECT_EQ(shared.bytes().data(), bytes.data() + 8);
  const Array moved = *Array::make(DType::kFloat64, {4}, bytes.slice(12, 32));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(moved.bytes().data()) % alignof(double), 0u);
  EXPECT_EQ(moved, shared);
  const Array complex = *Array::make(DType::kComplex128, {1}, bytes.slice(24, 16));
  EXPECT_EQ(complex.bytes().data(), bytes.data() + 24);
}

TEST(Array, WritingCopiesWhatIsShared) {
  Array one = Array::of<int32_t>({1, 2});
  const Array other = one;
  EXPECT_EQ(one.bytes().data(), other.bytes().data());
  one.mutable_view<int32_t>()[0] = 9;
  EXPECT_THAT(one.view<int32_t>(), ElementsAre(9, 2));
  EXPECT_THAT(other.view<int32_t>(), ElementsAre(1, 2));
  const std::byte* place = one.bytes().data();
  one.mutable_view<int32_t>()[1] = 8;
  EXPECT_EQ(one.bytes().data(), place) << "a sole owner writes in place";
  EXPECT_NE(other.clone().bytes().data(), other.bytes().data());
  EXPECT_EQ(other.clone(), other);
}

TEST(Array, ReshapeSharesTheBytes) {
  const Array array = Array::of<int32_t>({1, 2, 3, 4});
  EXPECT_EQ(array.reshaped({2, 2}).describe(), "int32[2,2]");
  EXPECT_EQ(array.reshaped({2, 2}).bytes().data(), array.bytes().data());
  EXPECT_THROW(array.reshaped({3}), Error);
}

TEST(Array, EqualityIsThatOfBytes) {
  EXPECT_EQ(Array::of<float>({NAN}), Array::of<float>({NAN}));
  EXPECT_NE(Array::of<float>({0.0f}), Array::of<float>({-0.0f}));
  EXPECT_NE(Array::of<int32_t>({0}), Array::of<uint32_t>({0}));
  EXPECT_NE(Array::of<int32_t>({0}), Array::of<int32_t>({0}).reshaped({1, 1}));
}

}  // namespace
}  // namespace umbel
