#include "umbel/record/role.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace umbel {
namespace {

using ::testing::HasSubstr;

ArrayRecord model() {
  return {{"conv.weight", Array::zeros(DType::kFloat32, {2, 3})},
          {"bn.running_mean", Array::zeros(DType::kBfloat16, {3})},
          {"bn.batches", Array::zeros(DType::kInt64, {})},
          {"head.weight", Array::zeros(DType::kFloat16, {3, 2})}};
}

TEST(Roles, TheLastRuleThatMatchesDecides) {
  const Roles roles{{"*", Role::kFrozen}, {"head.*", Role::kPrivate}, {"head.b", Role::kShared}};
  EXPECT_EQ(roles.of("conv.weight"), Role::kFrozen);
  EXPECT_EQ(roles.of("head.weight"), Role::kPrivate);
  EXPECT_EQ(roles.of("head.b"), Role::kShared);
  EXPECT_EQ(Roles().of("anything"), Role::kShared);
  EXPECT_TRUE(roles.any(Role::kPrivate));
  EXPECT_FALSE(roles.without(Role::kPrivate).any(Role::kPrivate));
}

TEST(Roles, ParseReadsWhatTextWrites) {
  const std::string text = "head.*=private, *.running_mean=statistic, a=b=low-rank";
  const Result<Roles> roles =
      Roles::parse(" head.* = private,*.running_mean=statistic,, a=b=low-rank ");
  EXPECT_FALSE(roles.ok()) << "an empty rule between two commas";
  const Roles good =
      or_throw(Roles::parse(" head.* = private,*.running_mean=statistic, a=b=low-rank "));
  EXPECT_EQ(good.text(), text);
  EXPECT_EQ(or_throw(Roles::parse(good.text())), good);
  EXPECT_TRUE(or_throw(Roles::parse("  ")).empty());
  const ConfigValue list(
      std::vector<std::string>{"head.*=private", "*.running_mean=statistic, a=b=low-rank"});
  EXPECT_EQ(or_throw(Roles::from_config(list)), good);
  EXPECT_EQ(or_throw(Roles::from_config(ConfigValue(text))), good);
  EXPECT_TRUE(or_throw(Roles::from_config(ConfigValue(std::vector<std::string>{}))).empty());
  EXPECT_TRUE(or_throw(Roles::from_config(ConfigValue(std::vector<int64_t>{}))).empty());
}

TEST(Roles, SlicesSayWhichAxesAreCut) {
  const Roles roles = or_throw(Roles::parse("*=slice, first=slice:0, last=slice:1, b=shared"));
  EXPECT_EQ(roles.text(), "*=slice, first=slice:0, last=slice:1, b=shared");
  EXPECT_EQ(or_throw(Roles::parse(roles.text())), roles);
  EXPECT_EQ(roles.cut_axes("conv", 4), (std::vector<int>{0, 1}));
  EXPECT_EQ(roles.cut_axes("bias", 1), std::vector<int>{0});
  EXPECT_EQ(roles.cut_axes("first", 4), std::vector<int>{0});
  EXPECT_EQ(roles.cut_axes("last", 2), std::vector<int>{1});
  EXPECT_TRUE(roles.cut_axes("b", 2).empty());
  EXPECT_FALSE(Roles::parse("a=slice:").ok());
  EXPECT_FALSE(Roles::parse("a=slice:x").ok());
}

TEST(Roles, WhatIsNoRuleIsNamed) {
  const auto why = [](std::string_view text) { return message_of(Roles::parse(text).status()); };
  EXPECT_THAT(why("head.*"), HasSubstr("\"head.*\": expected PATTERN=ROLE"));
  EXPECT_THAT(why("=private"), HasSubstr("expected PATTERN=ROLE"));
  EXPECT_THAT(why("head=secret"), HasSubstr("no role \"secret\"; there are: shared, private"));
  EXPECT_THAT(message_of(Roles::from_config(ConfigValue(3)).status()), HasSubstr("an integer"));
  std::string many;
  for (size_t i = 0; i <= Roles::kRulesMax; ++i) many += "a=private,";
  EXPECT_THAT(why(many), HasSubstr("more than 1000 rules"));
}

TEST(Roles, ARoleOnATensorThatDoesNotExistIsRefusedByName) {
  EXPECT_TRUE(Roles({{"head.*", Role::kPrivate}}).validate(model()).ok());
  const Status status = Roles({{"haed.*", Role::kPrivate}}).validate(model());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message_of(status), HasSubstr("role private: \"haed.*\" matches no tensor"));
  EXPECT_THAT(message_of(status), HasSubstr("conv.weight, bn.running_mean"));
}

TEST(Roles, TypesMustSuitTheRole) {
  EXPECT_TRUE(Roles({{"bn.batches", Role::kCounter}}).validate(model()).ok());
  EXPECT_TRUE(Roles({{"bn.running_mean", Role::kStatistic}}).validate(model()).ok());
  EXPECT_THAT(message_of(Roles({{"bn.*", Role::kCounter}}).validate(model())),
              HasSubstr("\"bn.running_mean\": a counter is of integers, this is bfloat16[3]"));
  EXPECT_THAT(message_of(Roles({{"bn.*", Role::kStatistic}}).validate(model())),
              HasSubstr("\"bn.batches\": a statistic is of real numbers"));
}

TEST(Roles, ArraysOfKeepsOrderAndBytes) {
  const ArrayRecord arrays = model();
  const Roles roles{{"bn.*", Role::kPrivate}};
  const ArrayRecord kept = arrays_of(arrays, roles, Role::kPrivate);
  EXPECT_EQ(kept.names(), "bn.running_mean, bn.batches");
  EXPECT_EQ(kept["bn.batches"].buffer().data(), arrays["bn.batches"].buffer().data());
}

TEST(ArraysSha256, DependsOnNamesTypesShapesAndElements) {
  const ArrayRecord a = {{"x", Array::of<float>({1, 2})}};
  EXPECT_EQ(arrays_sha256(a), arrays_sha256(a.clone()));
  EXPECT_NE(arrays_sha256(a), arrays_sha256({{"y", Array::of<float>({1, 2})}}));
  EXPECT_NE(arrays_sha256(a), arrays_sha256({{"x", Array::of<float>({1, 3})}}));
  EXPECT_NE(arrays_sha256(a), arrays_sha256({{"x", a["x"].reshaped({2, 1})}}));
  EXPECT_NE(arrays_sha256(a), arrays_sha256({}));
}

// The definition, which takes exponential time.
bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '*') {
    return matches(pattern.substr(1), name) || (!name.empty() && matches(pattern, name.substr(1)));
  }
  return !name.empty() && pattern[0] == name[0] && matches(pattern.substr(1), name.substr(1));
}

RC_GTEST_PROP(NameMatches, IsWhatTheDefinitionSays, ()) {
  std::string pattern = *rc::gen::container<std::string>(rc::gen::element('a', 'b', '*'));
  std::string name = *rc::gen::container<std::string>(rc::gen::element('a', 'b'));
  pattern.resize(std::min<size_t>(pattern.size(), 10));
  name.resize(std::min<size_t>(name.size(), 10));
  RC_ASSERT(name_matches(pattern, name) == matches(pattern, name));
}

TEST(NameMatches, TakesNoExponentialTime) {
  std::string pattern;
  for (int i = 0; i != 200; ++i) pattern += "*a";
  EXPECT_FALSE(name_matches(pattern + "b", std::string(5'000, 'a')));
}

}  // namespace
}  // namespace umbel
