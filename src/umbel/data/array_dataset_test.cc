#include "umbel/data/array_dataset.h"

#include <fmt/core.h>
#include <gmock/gmock.h>

#include <cmath>
#include <complex>
#include <limits>
#include <vector>

#include "umbel/data/array_convert.h"
#include "umbel/data/temporary_folder_test.h"
#include "umbel/record/half.h"
#include "umbel/record/npz.h"
#include "umbel/record/safetensors.h"

namespace umbel::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(const ArrayRecord& arrays, const ArrayNames& names = {}) {
  return message_of(to_dataset(arrays, names, "d").status());
}
ArrayRecord two(const Array& x, const Array& y) {
  ArrayRecord arrays;
  arrays.set("x", x);
  arrays.set("y", y);
  return arrays;
}

TEST(ArrayDataset, FeaturesAndLabelsAreTakenByName) {
  ArrayRecord arrays = two(Array::of<float>({1, 2}), Array::of<int64_t>({0, 4}));
  arrays.set("who", Array::of<uint16_t>({9, 3}));
  const Dataset dataset = *to_dataset(arrays, {.natural_ids = "who"}, "d");
  EXPECT_EQ(dataset.features, arrays["x"]);
  EXPECT_EQ(dataset.features.bytes().data(), arrays["x"].bytes().data());
  EXPECT_THAT(dataset.labels.view<int32_t>(), ElementsAre(0, 4));
  EXPECT_EQ(dataset.classes, 5);
  EXPECT_THAT(dataset.natural_ids.view<int32_t>(), ElementsAre(9, 3));
  EXPECT_EQ(to_dataset(arrays, {.classes = 10}, "d")->classes, 10);
  EXPECT_EQ(error_of(arrays, {.classes = 4}), "d: example 1 has label 4, expected 0 to 3");
}

TEST(ArrayDataset, OtherTypesBecomeOnesThatFeaturesHave) {
  const auto as = [](const Array& array) { return or_throw(as_features(array)); };
  EXPECT_THAT(as(Array::of<double>({0.1, -2})).view<float>(), ElementsAre(0.1f, -2.f));
  EXPECT_THAT(as(Array::of<int8_t>({-128})).view<int32_t>(), ElementsAre(-128));
  EXPECT_THAT(as(Array::of<uint16_t>({65535})).view<int32_t>(), ElementsAre(65535));
  EXPECT_THAT(as(Array::of<int64_t>({INT32_MIN})).view<int32_t>(), ElementsAre(INT32_MIN));
  EXPECT_THAT(as(Array::of<Float16>({to_float16(0.5)})).view<float>(), ElementsAre(0.5f));
  EXPECT_THAT(as(Array::of<Bfloat16>({to_bfloat16(-3)})).view<float>(), ElementsAre(-3.f));
  Array truths = Array::zeros(DType::kBool, {3});
  truths.mutable_bytes()[1] = std::byte{1};
  truths.mutable_bytes()[2] = std::byte{7};
  EXPECT_THAT(as(truths).view<uint8_t>(), ElementsAre(0, 1, 1));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(as(Array::of<double>({nan})).view<float>()[0]));
}

TEST(ArrayDataset, NumbersThatDoNotFitAreNamedByTheirExample) {
  const auto error = [](const Array& array) { return message_of(as_features(array).status()); };
  EXPECT_EQ(error(Array::copy_of<double>(std::vector<double>{0, 1, 2, 1e39}, {2, 2})),
            "example 1: 1e+39 is beyond float32's range");
  EXPECT_EQ(error(Array::of<uint32_t>({1, 2147483648})),
            "example 1: 2147483648 is beyond int32's range");
  EXPECT_EQ(error(Array::of<int64_t>({INT64_MIN})),
            "example 0: -9223372036854775808 is beyond int32's range");
  EXPECT_THAT(error(Array::zeros(DType::kComplex64, {1})), HasSubstr("complex numbers"));
  EXPECT_THAT(error(Array::zeros(DType::kFloat32, {})), HasSubstr("expected [n, ...]"));
}

TEST(ArrayDataset, LabelsAreWholeNumbersInAColumn) {
  const Array x = Array::zeros(DType::kFloat32, {2, 3});
  EXPECT_EQ(error_of(two(x, Array::zeros(DType::kUint8, {2, 1}))), "");
  EXPECT_THAT(error_of(two(x, Array::zeros(DType::kUint8, {2, 2}))),
              HasSubstr("labels \"y\": uint8[2,2], expected [n]"));
  EXPECT_THAT(error_of(two(x, Array::of<float>({0, 1}))), HasSubstr("expected whole numbers"));
  EXPECT_THAT(error_of(two(x, Array::of<int64_t>({0, -1}))), HasSubstr("example 1 has label -1"));
  EXPECT_THAT(error_of(two(x, Array::of<uint64_t>({0, UINT64_MAX}))), HasSubstr("beyond int32"));
  EXPECT_THAT(error_of(two(x, Array::of<uint8_t>({0}))), HasSubstr("example for each of 1 labels"));
  EXPECT_THAT(
      error_of(two(Array::zeros(DType::kFloat32, {0, 3}), Array::zeros(DType::kUint8, {0}))),
      HasSubstr("there are no examples"));
}

TEST(ArrayDataset, ArraysThatAreNotThereAreNamedWithThoseThatAre) {
  const ArrayRecord arrays = two(Array::of<float>({1}), Array::of<uint8_t>({0}));
  EXPECT_EQ(error_of(arrays, {.features = "images"}),
            "there is no array \"images\" for the features; there are: x float32[1], y uint8[1]");
  EXPECT_EQ(error_of({}), "there is no array \"x\" for the features; there are: none");
}

class ArrayFiles : public TemporaryFolder {};

TEST_F(ArrayFiles, NpzAndSafetensorsGiveTheSame) {
  const ArrayRecord arrays = two(Array::copy_of<float>(std::vector<float>{1, 2, 3, 4}, {2, 2}),
                                 Array::of<uint8_t>({1, 0}));
  ASSERT_TRUE(write_npz(folder_ / "d.npz", arrays).ok());
  ASSERT_TRUE(write_safetensors(folder_ / "d.safetensors", arrays).ok());
  for (const Dataset& dataset : {npz(folder_ / "d.npz"), safetensors(folder_ / "d.safetensors")}) {
    EXPECT_EQ(dataset.features, arrays["x"]);
    EXPECT_THAT(dataset.labels.view<int32_t>(), ElementsAre(1, 0));
    EXPECT_TRUE(check(dataset).ok());
  }
  const Status status = load_npz(folder_ / "d.npz", {.labels = "z"}).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(message_of(status), HasSubstr((folder_ / "d.npz").string()));
}

TEST_F(ArrayFiles, MoreThanFourGigabytesAreMapped) {
  constexpr uint64_t kEach = uint64_t{5} << 30;  // of two examples; the file has holes
  const std::string header =
      fmt::format(R"({{"y":{{"dtype":"U8","shape":[2],"data_offsets":[0,2]}},)"
                  R"("x":{{"dtype":"U8","shape":[2,{0}],"data_offsets":[2,{1}]}}}})",
                  kEach / 2, 2 + kEach);
  std::string start(8, '\0');
  start[0] = static_cast<char>(header.size());
  start[1] = static_cast<char>(header.size() >> 8);
  const std::filesystem::path path =
      write("large.safetensors", start + header + std::string("\1\0", 2));
  const uint64_t bytes = start.size() + header.size() + 2 + kEach;
  std::filesystem::resize_file(path, bytes);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(bytes - 1));
  file.put('\7');
  file.close();
  const Dataset dataset = safetensors(path);
  EXPECT_EQ(dataset.feature_size(), static_cast<int64_t>(kEach / 2));
  EXPECT_THAT(dataset.labels.view<int32_t>(), ElementsAre(1, 0));
  EXPECT_EQ(dataset.features.view<uint8_t>()[kEach - 1], 7);
}

}  // namespace
}  // namespace umbel::data
