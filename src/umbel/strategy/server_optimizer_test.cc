#include "umbel/strategy/server_optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <functional>

#include "umbel/base/rng.h"
#include "umbel/record/half.h"

namespace umbel {
namespace {

using Real = long double;

ArrayRecord model(std::initializer_list<double> values) {
  return {{"w", Array::of<double>(values)}};
}

ArrayRecord apply(ServerOptimizer& optimizer, const ArrayRecord& global, const ArrayRecord& mean) {
  Result<ArrayRecord> next = optimizer.apply(global, mean);
  EXPECT_TRUE(next.ok()) << next.status();
  return next.ok() ? *std::move(next) : ArrayRecord();
}

double only(const ArrayRecord& record) { return record["w"].view<double>()[0]; }

// The loop of algorithm 2 of Reddi et al. as one would write it from the paper, and Hsu et al.'s,
// in more digits than the code under test has.
struct Paper {
  std::function<Real(Real v, Real square)> second_moment;  // empty: momentum
  Real rate, beta, tau;
  std::vector<Real> m, v;

  void step(std::vector<Real>& x, const std::vector<Real>& mean) {
    m.resize(x.size(), 0);
    v.resize(x.size(), tau * tau);
    for (size_t i = 0; i != x.size(); ++i) {
      const Real delta = mean[i] - x[i];
      if (second_moment) {
        m[i] = beta * m[i] + (1 - beta) * delta;
        v[i] = second_moment(v[i], delta * delta);
        x[i] += rate * m[i] / (std::sqrt(v[i]) + tau);
      } else {
        m[i] = beta * m[i] + delta;
        x[i] += rate * m[i];
      }
    }
  }
};

struct Case {
  ServerOptimizer optimizer;
  Paper paper;
};

Real sign(Real x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

std::vector<Case> cases() {
  const double rate = 0.05, b1 = 0.8, b2 = 0.95, tau = 0.01;
  const auto adam = [=](Real v, Real square) { return b2 * v + (1 - Real{b2}) * square; };
  const auto yogi = [=](Real v, Real square) {
    return v - (1 - Real{b2}) * square * sign(v - square);
  };
  const auto adagrad = [](Real v, Real square) { return v + square; };
  return {{ServerOptimizer::momentum({rate, b1}), {nullptr, rate, b1, 0, {}, {}}},
          {ServerOptimizer::adam({rate, b1, b2, tau}), {adam, rate, b1, tau, {}, {}}},
          {ServerOptimizer::yogi({rate, b1, b2, tau}), {yogi, rate, b1, tau, {}, {}}},
          {ServerOptimizer::adagrad({rate, b1, tau}), {adagrad, rate, b1, tau, {}, {}}}};
}

// Ten rounds whose means are drawn around the model; the largest relative difference to the paper.
template <class T>
void expect_as_in_the_paper(Case c, double tolerance) {
  Rng rng(11);
  std::vector<T> start(37);
  for (T& value : start) value = static_cast<T>(rng.normal());
  ArrayRecord global{{"w", Array::copy_of<T>(start, {37})}};
  for (int round = 0; round != 10; ++round) {
    // Each round starts from the same model on both sides, so that only moments can drift apart.
    std::vector<Real> x(global["w"].view<T>().begin(), global["w"].view<T>().end());
    std::vector<T> mean(37);
    for (size_t i = 0; i != mean.size(); ++i) {
      mean[i] = static_cast<T>(static_cast<double>(x[i]) + 0.1 * rng.normal());
    }
    c.paper.step(x, {mean.begin(), mean.end()});
    global = apply(c.optimizer, global, {{"w", Array::copy_of<T>(mean, {37})}});
    for (size_t i = 0; i != x.size(); ++i) {
      const double expected = static_cast<double>(x[i]);
      ASSERT_NEAR(global["w"].view<T>()[i], expected, tolerance * (1 + std::fabs(expected)))
          << c.optimizer.describe() << " round " << round << " element " << i;
    }
  }
}

TEST(ServerOptimizer, FollowsThePapersInFloat64) {
  for (const Case& c : cases()) expect_as_in_the_paper<double>(c, 1e-15);
}

TEST(ServerOptimizer, FollowsThePapersInFloat32ToHalfAUnit) {
  for (const Case& c : cases()) expect_as_in_the_paper<float>(c, 0x1p-24 * 1.001);
}

TEST(ServerOptimizer, MomentumOfAConstantPullIsAGeometricSum) {
  auto optimizer = ServerOptimizer::momentum({.learning_rate = 1, .beta = 0.5});
  ArrayRecord global = model({0});
  double expected = 0;
  for (int round = 1; round <= 20; ++round) {
    const double before = only(global);
    global = apply(optimizer, global, model({before + 1}));
    expected += (1 - std::pow(0.5, round)) / (1 - 0.5);
    EXPECT_EQ(only(global), expected);  // halves are exact
  }
}

TEST(ServerOptimizer, AdamsFirstStepIsNotBiasCorrected) {
  auto optimizer =
      ServerOptimizer::adam({.learning_rate = 0.1, .beta_1 = 0.9, .beta_2 = 0.99, .tau = 0.01});
  const ArrayRecord next = apply(optimizer, model({0}), model({2}));
  const double v = 0.99 * 0.01 * 0.01 + 0.01 * 4;
  EXPECT_NEAR(only(next), 0.1 * 0.2 / (std::sqrt(v) + 0.01), 1e-16);
  EXPECT_NEAR(optimizer.state()["m/w"].view<double>()[0], 0.2, 1e-16);
  EXPECT_NEAR(optimizer.state()["v/w"].view<double>()[0], v, 1e-16);
}

TEST(ServerOptimizer, AdagradOfAConstantPullSlowsAsTheRootOfTheRounds) {
  auto optimizer = ServerOptimizer::adagrad({.learning_rate = 1, .beta_1 = 0, .tau = 0.5});
  ArrayRecord global = model({0});
  double expected = 0;
  for (int round = 1; round <= 20; ++round) {
    global = apply(optimizer, global, model({only(global) + 3}));
    expected += 3 / (std::sqrt(0.25 + 9 * round) + 0.5);
    EXPECT_NEAR(only(global), expected, 1e-14);
  }
}

TEST(ServerOptimizer, YogiLeavesVWhereItEqualsTheSquare) {
  auto optimizer =
      ServerOptimizer::yogi({.learning_rate = 1, .beta_1 = 0, .beta_2 = 0.75, .tau = 0.5});
  const ArrayRecord next = apply(optimizer, model({0, 0, 0}), model({0.5, 1, 0.25}));
  const auto v = optimizer.state()["v/w"].view<double>();
  EXPECT_EQ(v[0], 0.25);
  EXPECT_EQ(v[1], 0.25 + 0.25 * 1);
  EXPECT_EQ(v[2], 0.25 - 0.25 * 0.0625);
  EXPECT_EQ(only(next), 0.5);  // 0.5 / (0.5 + 0.5)
}

TEST(ServerOptimizer, AverageWithRateOneHandsOnTheBuffersOfTheMean) {
  auto optimizer = ServerOptimizer::average();
  const ArrayRecord mean{{"a", Array::of<float>({0.1f, NAN})}, {"b", Array::of<int64_t>({7})}};
  const ArrayRecord global{{"a", Array::of<float>({1, 2})}, {"b", Array::of<int64_t>({1})}};
  const ArrayRecord next = apply(optimizer, global, mean);
  EXPECT_EQ(next, mean);
  EXPECT_EQ(next["a"].buffer().data(), mean["a"].buffer().data());
  EXPECT_TRUE(optimizer.state().empty());
}

TEST(ServerOptimizer, AverageWithRateOneHalfGoesHalfWay) {
  auto optimizer = ServerOptimizer::average(0.5);
  EXPECT_EQ(apply(optimizer, model({1, -2}), model({2, 2})), model({1.5, 0}));
}

TEST(ServerOptimizer, SixteenBitFloatsAreRoundedOnce) {
  // 1 + (1/2 + 2^-30) ulp is nearest to 1 + ulp; rounded to float first it would be a tie, hence 1.
  auto optimizer = ServerOptimizer::average(0.5 + 0x1p-30);
  const ArrayRecord global{{"h", Array::of<Float16>({to_float16(1)})},
                           {"b", Array::of<Bfloat16>({to_bfloat16(1)})}};
  const ArrayRecord mean{{"h", Array::of<Float16>({to_float16(1 + 0x1p-10)})},
                         {"b", Array::of<Bfloat16>({to_bfloat16(1 + 0x1p-7)})}};
  EXPECT_EQ(apply(optimizer, global, mean), mean);
}

TEST(ServerOptimizer, IntegersAndBoolsTakeTheMeanAndHaveNoMoments) {
  auto optimizer = ServerOptimizer::adam();
  const ArrayRecord global{{"n", Array::of<int32_t>({1, 2})}, {"t", Array::of<bool>({false})}};
  const ArrayRecord mean{{"n", Array::of<int32_t>({5, 6})}, {"t", Array::of<bool>({true})}};
  EXPECT_EQ(apply(optimizer, global, mean), mean);
  EXPECT_TRUE(optimizer.state().empty());
}

TEST(ServerOptimizer, ComplexNumbersStepAsPairsOfReals) {
  for (Case& c : cases()) {
    ServerOptimizer pairs = c.optimizer;
    using C = std::complex<double>;
    ArrayRecord z{{"w", Array::of<C>({{1, 2}, {-3, 0.5}})}};
    const ArrayRecord z_mean{{"w", Array::of<C>({{1.5, 2}, {-2, 0.25}})}};
    ArrayRecord x = model({1, 2, -3, 0.5});
    for (int round = 0; round != 3; ++round) {
      z = apply(c.optimizer, z, z_mean);
      x = apply(pairs, x, model({1.5, 2, -2, 0.25}));
    }
    EXPECT_TRUE(std::ranges::equal(z["w"].bytes(), x["w"].bytes())) << pairs.describe();
    EXPECT_EQ(c.optimizer.state()["m/w"].shape(), (Shape{2, 2}));
  }
}

TEST(ServerOptimizer, RestoredStateGivesTheSameBits) {
  for (Case& c : cases()) {
    ServerOptimizer restored = c.optimizer;
    ArrayRecord global = model({1, 2, 3});
    for (int round = 0; round != 3; ++round) global = apply(c.optimizer, global, model({2, 2, 2}));
    ASSERT_TRUE(restored.restore(c.optimizer.state().clone()).ok());
    EXPECT_EQ(apply(c.optimizer, global, model({0, 1, 2})),
              apply(restored, global, model({0, 1, 2})));
    EXPECT_EQ(c.optimizer.state(), restored.state());
  }
}

TEST(ServerOptimizer, KeptStateDoesNotMoveWithLaterRounds) {
  auto optimizer = ServerOptimizer::momentum();
  apply(optimizer, model({0}), model({1}));
  const ArrayRecord kept = optimizer.state();
  apply(optimizer, model({0}), model({1}));
  EXPECT_EQ(kept["m/w"].view<double>()[0], 1);
  EXPECT_EQ(optimizer.state()["m/w"].view<double>()[0], 1.9);
}

TEST(ServerOptimizer, FailedApplyChangesNothing) {
  auto optimizer = ServerOptimizer::adam();
  EXPECT_FALSE(optimizer.apply(model({0}), model({1, 2})).ok());
  EXPECT_TRUE(optimizer.state().empty());
  apply(optimizer, model({0}), model({1}));
  const ArrayRecord before = optimizer.state().clone();
  EXPECT_EQ(message_of(optimizer.apply(model({0, 0}), model({1, 1})).status()),
            "optimizer state \"m/w\": shape [1], the model asks for [2]");
  EXPECT_EQ(
      message_of(optimizer.apply({{"u", Array::of<double>({0})}}, {{"u", Array::of<double>({0})}})
                     .status()),
      "optimizer state: no \"m/u\"");
  EXPECT_EQ(message_of(optimizer.apply({}, {}).status()),
            "optimizer state: 2 moments, the model asks for 0");
  EXPECT_EQ(optimizer.state(), before);
}

std::string restore_error(ArrayRecord state) {
  auto optimizer = ServerOptimizer::yogi();
  const Status status = optimizer.restore(std::move(state));
  EXPECT_TRUE(optimizer.state().empty());
  return message_of(status);
}

TEST(ServerOptimizer, RestoreRefusesWhatNoStepLeaves) {
  const Array good = Array::of<double>({1});
  EXPECT_EQ(restore_error({{"m/w", good}, {"w", good}}),
            "optimizer state \"w\": expected a name that begins with \"v/\"");
  EXPECT_EQ(restore_error({{"m/w", Array::of<float>({1})}, {"v/w", good}}),
            "optimizer state \"m/w\": float32[1], expected float64");
  EXPECT_EQ(restore_error({{"m/w", good}, {"v/w", Array::of<double>({-1})}}),
            "optimizer state \"v/w\": has the value -1");
  EXPECT_EQ(restore_error({{"m/w", Array::of<double>({INFINITY})}, {"v/w", good}}),
            "optimizer state \"m/w\": has the value inf");
  EXPECT_EQ(message_of(ServerOptimizer::average().restore({{"m/w", good}})),
            "optimizer state: 1 moments, average has none");
}

TEST(ServerOptimizer, ValidateNamesTheWrongParameter) {
  const auto error = [](const ServerOptimizer& optimizer) {
    return message_of(optimizer.validate());
  };
  EXPECT_EQ(error(ServerOptimizer::average(0)),
            "average: learning_rate = 0, expected a finite number above 0");
  EXPECT_EQ(error(ServerOptimizer::average(INFINITY)),
            "average: learning_rate = inf, expected a finite number above 0");
  EXPECT_EQ(error(ServerOptimizer::momentum({.beta = 1})),
            "momentum: beta = 1, expected at least 0 and below 1");
  EXPECT_EQ(error(ServerOptimizer::adam({.beta_1 = -0.1})),
            "adam: beta_1 = -0.1, expected at least 0 and below 1");
  EXPECT_EQ(error(ServerOptimizer::yogi({.beta_2 = NAN})),
            "yogi: beta_2 = nan, expected at least 0 and below 1");
  EXPECT_EQ(error(ServerOptimizer::adagrad({.tau = 0})),
            "adagrad: tau = 0, expected a finite number above 0");
  for (const Case& c : cases()) EXPECT_TRUE(c.optimizer.validate().ok());
}

}  // namespace
}  // namespace umbel
