#include "umbel/record/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace umbel {
namespace {

using ::testing::HasSubstr;

ArrayRecord model() {
  return {{"w", Array::zeros(DType::kFloat32, {3, 5})},
          {"none", Array::zeros(DType::kInt8, {0, 4})},
          {"b", Array::zeros(DType::kComplex128, {})}};
}

TEST(LayoutTest, HasNamesDtypesShapesAndSizesOfTheArrays) {
  const Layout layout = layout_of(model());
  ASSERT_EQ(layout.size(), 3u);
  EXPECT_EQ(layout[0], (ArraySpec{"w", DType::kFloat32, {3, 5}}));
  EXPECT_EQ(layout[0].elements(), 15);
  EXPECT_EQ(layout[0].byte_size(), 60u);
  EXPECT_EQ(layout[1].byte_size(), 0u);
  EXPECT_EQ(layout[2].elements(), 1);
  EXPECT_EQ(layout[2].byte_size(), 16u);
  EXPECT_TRUE(layout_of(ArrayRecord()).empty());
}

TEST(LayoutTest, ArraysOfABlobStartAtMultiplesOf64AndTheLastEndsIt) {
  EXPECT_EQ(blob_size({}), 0u);
  EXPECT_EQ(blob_size({{"a", DType::kInt8, {1}}}), 1u);
  EXPECT_EQ(blob_size({{"a", DType::kInt8, {64}}, {"b", DType::kInt8, {1}}}), 65u);
  EXPECT_EQ(blob_size({{"a", DType::kInt8, {65}}, {"b", DType::kInt16, {2}}}), 132u);
  EXPECT_EQ(blob_size({{"a", DType::kInt8, {1}}, {"none", DType::kInt8, {0}}}), 64u);
  EXPECT_EQ(blob_size(layout_of(model())), 80u);
  EXPECT_EQ(next_in_blob(0), 0u);
  EXPECT_EQ(next_in_blob(1), 64u);
  EXPECT_EQ(next_in_blob(64), 64u);
}

TEST(LayoutTest, ABlobTooLargeForItsSizeIsOfSizeMax) {
  const ArraySpec vast{"vast", DType::kComplex128, {int64_t{1} << 48}};
  EXPECT_EQ(blob_size(Layout(4095, vast)), size_t{4095} << 52);
  EXPECT_EQ(blob_size(Layout(4096, vast)), SIZE_MAX);
  EXPECT_EQ(blob_size(Layout(5000, vast)), SIZE_MAX);
}

TEST(LayoutTest, DifferencesReadAlikeForRecordsAndLayouts) {
  const ArrayRecord expected = model();
  ArrayRecord renamed{{"v\n", Array::zeros(DType::kFloat32, {3, 5})}};
  ArrayRecord reshaped = expected;
  reshaped["w"] = Array::zeros(DType::kFloat32, {5, 3});
  ArrayRecord retyped = expected;
  retyped["b"] = Array::zeros(DType::kComplex64, {});
  ArrayRecord longer = expected;
  longer.set("more", Array());
  const ArrayRecord shorter{{"w", expected["w"]}};
  const std::pair<ArrayRecord, std::string> cases[] = {
      {renamed, "array 0 is \"v\\x0a\", the round expects \"w\""},
      {reshaped, "array \"w\": float32[5,3], the round expects float32[3,5]"},
      {retyped, "array \"b\": complex64[], the round expects complex128[]"},
      {longer, "array \"more\" is not part of the model; got 4 arrays, the round expects 3"},
      {shorter, "array \"none\" is missing; got 1 arrays (w), the round expects 3"},
      {ArrayRecord(), "array \"w\" is missing; got 0 arrays (none), the round expects 3"}};
  for (const auto& [arrays, words] : cases) {
    const Status status = require_layout(layout_of(arrays), layout_of(expected));
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_EQ(message_of(status), words);
    EXPECT_EQ(message_of(require_layout(arrays, expected)), words);
    EXPECT_EQ(message_of(require_layout(arrays, layout_of(expected))), words);
  }
  EXPECT_TRUE(require_layout(layout_of(expected), layout_of(model())).ok());
  EXPECT_TRUE(require_layout(expected, layout_of(model())).ok());
  EXPECT_TRUE(require_layout(Layout(), Layout()).ok());
}

}  // namespace
}  // namespace umbel
