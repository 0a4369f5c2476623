#include "umbel/strategy/slices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "umbel/base/rng.h"
#include "umbel/record/half.h"

namespace umbel {
namespace {

using ::testing::HasSubstr;

// 0, 1, 2, ... in a shape.
template <class T = float>
Array counting(Shape shape) {
  Array array = Array::zeros(dtype_of<T>(), std::move(shape));
  T next = 0;
  for (T& x : array.mutable_view<T>()) x = next++;
  return array;
}

TEST(Slices, AreTheLeadingBlockAlongTheCutAxes) {
  const ArrayRecord model{
      {"w", counting({4, 3})}, {"last", counting({2, 4})}, {"b", counting({2})}};
  const Roles roles{{"w", Role::kSlice}, {"last", Role::kSlice, {1}}};
  const ArrayRecord half = narrowed(model, roles, 0.5);
  EXPECT_EQ(half["w"], Array::of<float>({0, 1, 3, 4}).reshaped({2, 2}));
  EXPECT_EQ(half["last"], Array::of<float>({0, 1, 4, 5}).reshaped({2, 2}));
  EXPECT_EQ(half["b"], model["b"]);
  EXPECT_EQ(narrowed(model, roles, 1), model);
  const ArrayRecord least = narrowed(model, roles, 1e-12);
  EXPECT_EQ(least["w"], Array::of<float>({0}).reshaped({1, 1})) << "at least one of each axis";
  const ArrayRecord ten{{"v", counting({10})}};
  EXPECT_EQ(narrowed(ten, Roles{{"v", Role::kSlice}}, 0.7)["v"].size(), 7);
}

TEST(Slices, KernelsOfConvolutionsStayWhole) {
  const ArrayRecord model{{"conv", counting({4, 2, 3, 3})}};
  EXPECT_EQ(narrowed(model, Roles{{"*", Role::kSlice}}, 0.5)["conv"].shape(), (Shape{2, 1, 3, 3}));
}

TEST(Slices, ElementsAreAveragedOverThoseWhoHaveThem) {
  const ArrayRecord whole{{"w", Array::of<float>({1, 1, 1, 1}).reshaped({2, 2})},
                          {"n", Array::of<int64_t>({0})}};
  const Roles roles{{"w", Role::kSlice, {1}}};
  const std::vector<SliceMean> means{
      {{{"w", Array::of<float>({4, 6}).reshaped({2, 1})}, {"n", Array::of<int64_t>({10})}}, 3},
      {{{"w", Array::of<float>({8, 2}).reshaped({2, 1})}, {"n", Array::of<int64_t>({30})}}, 1}};
  const ArrayRecord merged = or_throw(merge_slices(whole, roles, means));
  // (3 * 4 + 8) / 4, and the second column is nobody's.
  EXPECT_EQ(merged["w"], Array::of<float>({5, 1, 5, 1}).reshaped({2, 2}));
  EXPECT_EQ(merged["n"], Array::of<int64_t>({15}));
}

// Against the loop over elements and clients.
TEST(Slices, MergeIsTheMeanOfEachElement) {
  for (uint64_t seed = 1; seed != 30; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const auto extent = [&] { return static_cast<int64_t>(1 + rng.below(4)); };
    const Shape shape{extent(), extent(), extent()};
    const ArrayRecord whole{{"w", counting<double>(shape)}};
    const Roles roles{{"w", Role::kSlice}};
    std::vector<SliceMean> means;
    for (const double width : {1.0, 0.5, 0.26}) {
      if (rng.below(3) == 0 && width == 1.0) continue;  // nobody has all of it
      ArrayRecord mean = narrowed(whole, roles, width);
      for (double& x : mean["w"].mutable_view<double>()) x = rng.normal();
      means.push_back({std::move(mean), 1 + rng.uniform()});
    }
    const ArrayRecord merged = or_throw(merge_slices(whole, roles, means));
    for (int64_t i = 0; i != whole["w"].size(); ++i) {
      const int64_t at[] = {i / (shape[2] * shape[1]), i / shape[2] % shape[1], i % shape[2]};
      double sum = 0;
      double weight = 0;
      for (const SliceMean& group : means) {
        const Array& block = group.mean["w"];
        const Shape& its = block.shape();
        if (at[0] >= its[0] || at[1] >= its[1] || at[2] >= its[2]) continue;
        const auto k = static_cast<size_t>((at[0] * its[1] + at[1]) * its[2] + at[2]);
        sum += group.weight * block.view<double>()[k];
        weight += group.weight;
      }
      const auto own = static_cast<double>(i);
      EXPECT_DOUBLE_EQ(merged["w"].view<double>()[static_cast<size_t>(i)],
                       weight > 0 ? sum / weight : own);
    }
  }
}

TEST(Slices, HalfFloatsAreRoundedOnce) {
  const auto of = [](float x) { return Array::of<Bfloat16>({to_bfloat16(x)}); };
  const std::vector<SliceMean> means{{{{"w", of(1)}}, 1}, {{{"w", of(2)}}, 3}};
  const ArrayRecord merged =
      or_throw(merge_slices({{"w", of(0)}}, Roles{{"w", Role::kSlice}}, means));
  EXPECT_EQ(merged["w"], of(1.75F));
}

TEST(Slices, WhatIsNoBlockIsRefusedByName) {
  const ArrayRecord whole{{"w", counting({2, 2})}};
  const Roles roles{{"w", Role::kSlice}};
  for (const Array& wrong : {counting({3, 1}), counting({4}), counting<double>({1, 1})}) {
    const std::vector<SliceMean> means{{{{"w", wrong}}, 1}};
    EXPECT_THAT(message_of(merge_slices(whole, roles, means).status()), HasSubstr("\"w\""));
  }
  const std::vector<SliceMean> missing{{{{"v", counting({2, 2})}}, 1}};
  EXPECT_FALSE(merge_slices(whole, roles, missing).ok());
  for (const double width : {0.0, -1.0, 1.5, std::nan("")}) EXPECT_FALSE(require_width(width).ok());
  EXPECT_TRUE(require_width(1).ok());
}

}  // namespace
}  // namespace umbel
