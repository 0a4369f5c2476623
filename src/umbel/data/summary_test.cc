#include "umbel/data/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace umbel::data {
namespace {

using testing::ElementsAre;

Dataset of(const Array& features, const Array& labels, int64_t classes) {
  Dataset dataset;
  dataset.features = features;
  dataset.labels = labels;
  dataset.classes = classes;
  return dataset;
}

TEST(Summary, CountsClassesAlsoEmptyOnes) {
  const Summary summary =
      summarize(of(Array::zeros(DType::kUint8, {3, 1}), Array::of<int32_t>({2, 0, 2}), 4));
  EXPECT_THAT(summary.class_counts, ElementsAre(1, 0, 2, 0));
}

TEST(Summary, RangeMeanAndDeviationAreOfTheFiniteNumbers) {
  const float inf = std::numeric_limits<float>::infinity();
  const Array features = Array::copy_of<float>(std::vector<float>{1, NAN, 3, inf, 5, -inf}, {3, 2});
  const Summary summary = summarize(of(features, Array::of<int32_t>({0, 0, 0}), 1));
  EXPECT_EQ(summary.nan, 1);
  EXPECT_EQ(summary.infinite, 2);
  EXPECT_EQ(summary.least, 1);
  EXPECT_EQ(summary.greatest, 5);
  EXPECT_DOUBLE_EQ(summary.mean, 3);
  EXPECT_DOUBLE_EQ(summary.deviation, std::sqrt(8.0 / 3));
  EXPECT_EQ(summary.constant_columns, 0);
}

TEST(Summary, WholeNumbersAreDescribedToo) {
  const Array bytes = Array::copy_of<uint8_t>(std::vector<uint8_t>{0, 7, 255, 7}, {2, 2});
  const Summary summary = summarize(of(bytes, Array::of<int32_t>({0, 0}), 1));
  EXPECT_EQ(summary.greatest, 255);
  EXPECT_EQ(summary.constant_columns, 1);
  const Array ints = Array::copy_of<int32_t>(std::vector<int32_t>{-5, 5}, {2, 1});
  EXPECT_EQ(summarize(of(ints, Array::of<int32_t>({0, 0}), 1)).least, -5);
}

TEST(Summary, DuplicatesAndContradictionsAreAgainstTheFirst) {
  const Array features = Array::copy_of<uint8_t>(std::vector<uint8_t>{1, 2, 1, 1, 2}, {5, 1});
  const Summary summary = summarize(of(features, Array::of<int32_t>({0, 0, 0, 1, 1}), 2));
  EXPECT_EQ(summary.duplicates, 3);
  EXPECT_EQ(summary.contradictions, 2);
}

TEST(Summary, OwnersAreThoseThatOccur) {
  Dataset dataset = of(Array::zeros(DType::kUint8, {5, 1}), Array::of<int32_t>({0, 0, 0, 0, 0}), 1);
  EXPECT_EQ(summarize(dataset).owners, 0);
  dataset.natural_ids = Array::of<int32_t>({9, 9, 9, 4, 9});
  const Summary summary = summarize(dataset);
  EXPECT_EQ(summary.owners, 2);
  EXPECT_EQ(summary.owner_size_min, 1);
  EXPECT_EQ(summary.owner_size_median, 2.5);
  EXPECT_EQ(summary.owner_size_max, 4);
}

}  // namespace
}  // namespace umbel::data
