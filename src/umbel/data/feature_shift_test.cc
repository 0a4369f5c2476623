#include "umbel/data/feature_shift.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "umbel/base/sha256.h"
#include "umbel/base/statistics_test.h"

namespace umbel::data {
namespace {

using testing::HasSubstr;
using testing_statistics::Moments;
using testing_statistics::moments_of;

constexpr uint64_t kSeed = 22;

TEST(FeatureShift, IsAPureFunctionOfClientAndExample) {
  const auto shift =
      or_throw(FeatureShift::make({.noise = 0.3, .brightness = 0.2, .scale = 0.5, .seed = kSeed}));
  const Array features = Array::of<float>({1, 2, 3, 4, 5, 6}).reshaped({3, 2});
  const Array two = shift.apply(4, features, std::vector<uint32_t>{2, 0});
  EXPECT_EQ(two.shape(), (Shape{2, 2}));
  EXPECT_EQ(two, shift.apply(4, features, std::vector<uint32_t>{2, 0}));
  std::vector<float> one{5, 6};
  shift.apply(4, 2, one);
  EXPECT_EQ(one[0], two.view<float>()[0]);
  EXPECT_EQ(one[1], two.view<float>()[1]);
  EXPECT_NE(two, shift.apply(5, features, std::vector<uint32_t>{2, 0}));
  EXPECT_EQ(features, Array::of<float>({1, 2, 3, 4, 5, 6}).reshaped({3, 2}));
}

TEST(FeatureShift, BytesAreWhatTheyWere) {
  const auto shift =
      or_throw(FeatureShift::make({.noise = 0.3, .brightness = 0.2, .scale = 0.5, .seed = 7}));
  Array features = Array::uninitialized(DType::kUint8, {20, 30});
  for (size_t i = 0; i != 600; ++i) features.mutable_view<uint8_t>()[i] = static_cast<uint8_t>(i);
  const Array seen = shift.apply(3, features, std::vector<uint32_t>{19, 0, 7});
  EXPECT_EQ(sha256_hex(seen.bytes()),
            "be3188cc94259dc821fcb2887050bc77c92d5891e1bec4e572d4ecd64e5bfb4e");
}

TEST(FeatureShift, WithoutOptionsChangesNothing) {
  const auto shift = or_throw(FeatureShift::make({}));
  const Array features = Array::of<uint8_t>({0, 51, 255}).reshaped({3, 1});
  const Array seen = shift.apply(9, features, std::vector<uint32_t>{0, 1, 2});
  EXPECT_EQ(seen, Array::of<float>({0, 0.2F, 1}).reshaped({3, 1}));
}

TEST(FeatureShift, ViewsStayInTheirRanges) {
  const auto shift = or_throw(FeatureShift::make(
      {.clients = 1000, .noise = 4, .brightness = 0.2, .scale = 0.5, .seed = kSeed}));
  double least = 9, most = 0;
  for (uint64_t client = 0; client != 1000; ++client) {
    const auto view = shift.of(client);
    EXPECT_LE(std::fabs(view.offset), 0.2);
    least = std::min(least, view.factor);
    most = std::max(most, view.factor);
    EXPECT_DOUBLE_EQ(view.deviation * view.deviation, 4 * static_cast<double>(client + 1) / 1000);
  }
  EXPECT_GE(least, 0.5);
  EXPECT_LT(least, 0.51);
  EXPECT_LE(most, 1.5);
  EXPECT_GT(most, 1.49);
}

TEST(FeatureShiftStatistics, NoiseHasTheVarianceOfItsClient) {
  const auto shift = or_throw(FeatureShift::make({.clients = 4, .noise = 2, .seed = kSeed}));
  for (uint64_t client = 0; client != 4; ++client) {
    std::vector<double> sample;
    for (uint32_t example = 0; example != 2000; ++example) {
      std::vector<float> zero(10, 0.0F);
      shift.apply(client, example, zero);
      sample.insert(sample.end(), zero.begin(), zero.end());
    }
    const Moments m = moments_of(sample);
    EXPECT_NEAR(m.mean, 0, 5 * m.mean_error) << "seed " << kSeed;
    EXPECT_NEAR(m.variance, 0.5 * static_cast<double>(client + 1), 5 * m.variance_error);
  }
}

TEST(FeatureShift, ErrorsNameWhatIsWrong) {
  EXPECT_THAT(message_of(FeatureShift::make({.clients = 0}).status()), HasSubstr("clients is 0"));
  EXPECT_EQ(message_of(FeatureShift::make({.noise = -1}).status()),
            "feature shift: noise is -1, expected a number from 0 to 1000");
  EXPECT_THAT(message_of(FeatureShift::make({.scale = 1.5}).status()), HasSubstr("scale is 1.5"));
  EXPECT_THAT(message_of(FeatureShift::make({.brightness = NAN}).status()),
              HasSubstr("brightness is nan"));
  const auto shift = or_throw(FeatureShift::make({}));
  const auto error_of = [&](uint64_t client, const Array& features, uint32_t example) {
    try {
      (void)shift.apply(client, features, std::vector<uint32_t>{example});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  const Array features = Array::zeros(DType::kFloat32, {3, 2});
  EXPECT_EQ(error_of(0, features, 0), "none");
  EXPECT_EQ(error_of(10, features, 0),
            "client 10 of a feature shift of 10 clients: ids are 0 to 9");
  EXPECT_EQ(error_of(0, features, 3), "example 3 of float32[3,2]: expected 0 to 2");
  EXPECT_THAT(error_of(0, Array::zeros(DType::kInt32, {3, 2}), 0), HasSubstr("features are int32"));
}

}  // namespace
}  // namespace umbel::data
