#include "umbel/strategy/exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <complex>

#include "umbel/record/half.h"
#include "umbel/record/message.h"
#include "umbel/strategy/rounds.h"

namespace umbel {
namespace {

using ::testing::HasSubstr;

ArrayRecord model() {
  return {{"conv", Array::of<float>({1, 2})},
          {"mean", Array::of<double>({10})},
          {"seen", Array::of<int64_t>({100})},
          {"base", Array::of<float>({5})},
          {"head", Array::of<float>({7})}};
}
const Roles kRoles{{"mean", Role::kStatistic},
                   {"seen", Role::kCounter},
                   {"base", Role::kFrozen},
                   {"head", Role::kPrivate}};
std::string why(const Result<Exchange>& exchange) { return message_of(exchange.status()); }
const float* elements(const ArrayRecord& arrays, const char* name) {
  return arrays[name].view<float>().data();
}

TEST(Exchange, NothingIsDifferentWithoutRoles) {
  const Exchange none = or_throw(Exchange::make({}, {}, model()));
  EXPECT_EQ(none.text(), "");
  EXPECT_EQ(none.down(model(), 1, true), model());
  EXPECT_EQ(none.up(model(), 1), model());
  EXPECT_TRUE(none.config(model(), 1, true).empty());
}

TEST(Exchange, EachRoleTravelsAsTheTableSays) {
  const Exchange exchange = or_throw(Exchange::make(kRoles, {}, model()));
  const ArrayRecord global = exchange.global(model());
  EXPECT_EQ(global.names(), "conv, mean, seen, base");
  EXPECT_EQ(exchange.down(global, 1, true).names(), "conv, mean, seen");
  EXPECT_EQ(exchange.down(global, 1, false).names(), "conv, mean, seen");
  EXPECT_EQ(exchange.up(global, 1).names(), "conv, mean, seen");
  const ArrayRecord base{{"base", Array::of<float>({5})}};
  for (const bool train : {true, false}) {
    EXPECT_EQ(exchange.config(global, 1, train).text(kFrozenSha256Key), arrays_sha256(base));
  }
}

TEST(Exchange, FrozenTensorsTravelDownOnRequest) {
  const Exchange exchange = or_throw(Exchange::make(kRoles, {.frozen_down = true}, model()));
  const ArrayRecord global = exchange.global(model());
  EXPECT_EQ(exchange.down(global, 1, true).names(), "conv, mean, seen, base");
  EXPECT_EQ(exchange.up(global, 1).names(), "conv, mean, seen");
  EXPECT_TRUE(exchange.config(global, 1, true).empty());
}

TEST(Exchange, OnlySharedTensorsTakeTheOptimizersStep) {
  const Exchange exchange = or_throw(Exchange::make(kRoles, {}, model()));
  const ArrayRecord global = exchange.global(model());
  const ArrayRecord mean{{"conv", Array::of<float>({3, 2})},
                         {"mean", Array::of<double>({20})},
                         {"seen", Array::of<int64_t>({130})}};
  ServerOptimizer momentum = ServerOptimizer::momentum({.learning_rate = 0.5, .beta = 0.9});
  const ArrayRecord next = or_throw(exchange.apply(momentum, global, mean, 1));
  EXPECT_EQ(next.names(), "conv, mean, seen, base");
  EXPECT_EQ(elements(next, "conv")[0], 2);  // 1 + 0.5 * (3 - 1)
  EXPECT_EQ(next["mean"], mean["mean"]);
  EXPECT_EQ(next["seen"], mean["seen"]);
  EXPECT_EQ(next["base"], global["base"]);
  EXPECT_EQ(momentum.state().names(), "m/conv");
}

TEST(Exchange, ADeltaAndAGradientStandForTheModelThatTheyCameFrom) {
  const ArrayRecord global{{"x", Array::of<float>({1, -4})}, {"n", Array::of<int32_t>({3})}};
  for (const auto& [payload, sent] :
       {std::pair{Payload{.mode = PayloadMode::kDelta}, Array::of<float>({0.5F, 2})},
        std::pair{Payload{.mode = PayloadMode::kGradient, .rate = 0.25},
                  Array::of<float>({-2, -8})}}) {
    const Exchange exchange = or_throw(Exchange::make({}, payload, global));
    ServerOptimizer average = ServerOptimizer::average();
    const ArrayRecord mean{{"x", sent}, {"n", Array::of<int32_t>({9})}};
    const ArrayRecord next = or_throw(exchange.apply(average, global, mean, 1));
    EXPECT_EQ(next["x"], Array::of<float>({1.5F, -2})) << name_of(payload.mode);
    EXPECT_EQ(next["n"], Array::of<int32_t>({9})) << "integers travel as they are";
    EXPECT_EQ(exchange.config(global, 1, true).text(kPayloadKey), name_of(payload.mode));
    EXPECT_FALSE(exchange.config(global, 1, false).contains(kPayloadKey));
  }
}

TEST(Exchange, SubsetsRotateAndLeaveTheRestAndItsMomentsAlone) {
  const ArrayRecord global{{"a.w", Array::of<float>({1})},
                           {"a.b", Array::of<float>({2})},
                           {"c.w", Array::of<float>({3})}};
  const Payload payload{.layers = {{"a.*"}, {"c.*"}}};
  const Exchange exchange = or_throw(Exchange::make({}, payload, global));
  EXPECT_EQ(exchange.up(global, 1).names(), "a.w, a.b");
  EXPECT_EQ(exchange.up(global, 2).names(), "c.w");
  EXPECT_EQ(exchange.up(global, 3).names(), "a.w, a.b");
  EXPECT_EQ(exchange.down(global, 2, true).names(), "c.w");
  EXPECT_EQ(exchange.down(global, 2, false).names(), "a.w, a.b, c.w") << "evaluation is of it all";
  ServerOptimizer momentum = ServerOptimizer::momentum({.learning_rate = 1, .beta = 0.5});
  const ArrayRecord second{{"c.w", Array::of<float>({7})}};
  const ArrayRecord next = or_throw(exchange.apply(momentum, global, second, 2));
  EXPECT_EQ(next["a.w"], global["a.w"]);
  EXPECT_EQ(next["c.w"], Array::of<float>({7}));
  EXPECT_EQ(momentum.state()["m/a.w"].view<double>()[0], 0);
  EXPECT_EQ(momentum.state()["m/c.w"].view<double>()[0], 4);
  EXPECT_FALSE(exchange.apply(momentum, global, second, 1).ok()) << "round 1 is about a";
}

TEST(Exchange, WhatCannotBeIsRefusedByName) {
  EXPECT_THAT(why(Exchange::make(Roles{{"haed", Role::kPrivate}}, {}, model())),
              HasSubstr("\"haed\" matches no tensor"));
  EXPECT_THAT(why(Exchange::make(kRoles, {.layers = {{"head"}}}, model())),
              HasSubstr("asks for \"head\", which is private and never comes back"));
  EXPECT_THAT(why(Exchange::make(kRoles, {.layers = {{"conv"}, {"tail"}}}, model())),
              HasSubstr("\"tail\" matches no tensor"));
  EXPECT_THAT(why(Exchange::make({}, {.layers = {{}}}, model())), HasSubstr("layers[0]"));
  EXPECT_THAT(why(Exchange::make({}, {.mode = PayloadMode::kGradient, .rate = 0}, model())),
              HasSubstr("rate"));
  EXPECT_THAT(why(Exchange::make(Roles{{"*", Role::kPrivate}}, {}, model())),
              HasSubstr("no tensor of the model comes back"));
  EXPECT_THAT(why(Exchange::make(Roles{{"seen", Role::kSlice}}, {}, model())),
              HasSubstr("\"seen\": a slice is of real numbers"));
  EXPECT_THAT(why(Exchange::make(Roles{{"conv", Role::kSlice, {1}}}, {}, model())),
              HasSubstr("\"conv\" is float32[2]: it has no axis 1"));
}

TEST(Exchange, AReplyWithAPrivateTensorIsRefused) {
  const Exchange exchange = or_throw(Exchange::make(kRoles, {}, model()));
  ServerOptimizer average = ServerOptimizer::average();
  const auto next = exchange.apply(average, exchange.global(model()), model(), 1);
  EXPECT_EQ(next.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Exchange, PayloadsKeepTheDtypeAndInvertEachOther) {
  const auto check = [](const Array& from, const Array& to) {
    for (const PayloadMode mode : {PayloadMode::kDelta, PayloadMode::kGradient}) {
      const Array payload = to_payload(mode, 0.5, from, to);
      EXPECT_EQ(payload.dtype(), to.dtype());
      const Array back = from_payload(mode, 0.5, from, payload);
      EXPECT_EQ(back.dtype(), to.dtype());
      EXPECT_EQ(back.shape(), to.shape());
      EXPECT_EQ(back, to) << name_of(mode);  // multiples of 1/8: exact
    }
    EXPECT_EQ(to_payload(PayloadMode::kWeights, 1, from, to), to);
  };
  check(Array::of<float>({1, 2}), Array::of<float>({1.125F, -2}));
  check(Array::of<double>({1, 2}), Array::of<double>({1.125, -2}));
  check(Array::of<std::complex<float>>({{1, 2}}), Array::of<std::complex<float>>({{0, 2.5F}}));
  const auto halves = [](float a, float b) {
    return Array::of<Float16>({to_float16(a), to_float16(b)});
  };
  const auto brains = [](float a, float b) {
    return Array::of<Bfloat16>({to_bfloat16(a), to_bfloat16(b)});
  };
  check(halves(1, 2), halves(1.125F, -2));
  check(brains(1, 2), brains(1.125F, -2));
}

// The machine of rounds asks for what roles and payload say, and takes what comes of it.
TEST(RoundsWithRoles, AskForWhatTravels) {
  Rounds rounds = or_throw(Rounds::make({}, model(), 2, 1, {.rounds = 1, .roles = kRoles}));
  EXPECT_EQ(rounds.global().names(), "conv, mean, seen, base");
  const auto ask = or_throw(rounds.next());
  ASSERT_TRUE(ask);
  EXPECT_EQ(first_of<ArrayRecord>(*ask->content)->names(), "conv, mean, seen");
  ASSERT_TRUE(ask->reply_layout);
  EXPECT_EQ(ask->reply_layout->names(), "conv, mean, seen");
  EXPECT_FALSE(rounds.train_done({.arrays = model(), .replies = 2}).ok());
  ASSERT_TRUE(rounds.train_done({.arrays = *ask->reply_layout, .replies = 2}).ok());
  EXPECT_EQ(rounds.global().names(), "conv, mean, seen, base");
}

}  // namespace
}  // namespace umbel
