#include "umbel/strategy/strategy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "umbel/strategy/fed_adagrad.h"
#include "umbel/strategy/fed_adam.h"
#include "umbel/strategy/fed_avg.h"
#include "umbel/strategy/fed_avg_m.h"
#include "umbel/strategy/fed_prox.h"
#include "umbel/strategy/fed_yogi.h"

namespace umbel {
namespace {

std::string error(const Strategy& strategy, uint64_t population = 100) {
  return message_of(strategy.validate(population));
}

TEST(Strategy, DefaultsAskEverybodyAndAverage) {
  for (const Strategy& strategy :
       {fed_avg(), fed_avg_m(), fed_adam(), fed_yogi(), fed_adagrad(), fed_prox(), Strategy()}) {
    EXPECT_EQ(error(strategy), "") << strategy.name;
    EXPECT_EQ(strategy.train.sample(7, 1)->size(), 7u) << strategy.name;
    EXPECT_TRUE(strategy.evaluate.picks_nobody()) << strategy.name;
    EXPECT_EQ(strategy.fold.weight_key, "num-examples") << strategy.name;
    EXPECT_FALSE(strategy.deadline) << strategy.name;
  }
}

TEST(Strategy, NamesSayWhatTheyAre) {
  EXPECT_EQ(fed_avg().name, "fed-avg");
  EXPECT_EQ(fed_avg_m().name, "fed-avg-m");
  EXPECT_EQ(fed_adam().name, "fed-adam");
  EXPECT_EQ(fed_yogi().name, "fed-yogi");
  EXPECT_EQ(fed_adagrad().name, "fed-adagrad");
  EXPECT_EQ(fed_prox().name, "fed-prox");
  EXPECT_EQ(fed_avg().optimizer.describe(), "average");
  EXPECT_EQ(fed_avg_m().optimizer.describe(), "momentum");
  EXPECT_EQ(fed_adam().optimizer.describe(), "adam");
  EXPECT_EQ(fed_yogi().optimizer.describe(), "yogi");
  EXPECT_EQ(fed_adagrad().optimizer.describe(), "adagrad");
  EXPECT_EQ(fed_prox().optimizer.describe(), "average");
}

TEST(Strategy, CountsWinOverFractions) {
  const Strategy strategy = fed_avg({.fraction_train = 0.5,
                                     .clients_train = 10,
                                     .fraction_evaluate = 0.2,
                                     .clients_evaluate = 3});
  EXPECT_EQ(strategy.train, Sampler::count(10));
  EXPECT_EQ(strategy.evaluate, Sampler::count(3));
  const Strategy shares = fed_avg({.fraction_train = 0.5, .fraction_evaluate = 0.2});
  EXPECT_EQ(shares.train, Sampler::fraction(0.5));
  EXPECT_EQ(shares.evaluate, Sampler::fraction(0.2));
}

TEST(Strategy, OptionsArriveInTheStrategy) {
  const Strategy strategy =
      fed_avg({.weight_key = "num-samples",
               .weight = [](const MetricRecord& metrics) { return 2 * metrics.real("n"); },
               .weight_max = 50,
               .quorum = 0.75,
               .deadline = std::chrono::seconds(30),
               .wrap_up = std::chrono::seconds(5),
               .evaluate_every = 5});
  EXPECT_EQ(strategy.fold.weight_key, "num-samples");
  EXPECT_EQ(strategy.fold.weight({{"n", 4}}), 8);
  EXPECT_EQ(strategy.fold.weight_max, 50);
  EXPECT_EQ(strategy.quorum, 0.75);
  EXPECT_EQ(strategy.deadline->count(), 30);
  EXPECT_EQ(strategy.wrap_up->count(), 5);
  EXPECT_EQ(strategy.evaluate_every, 5u);
}

// The step from 0 towards 1 in a first round tells every parameter.
double first_step(Strategy strategy) {
  const auto next =
      strategy.optimizer.apply({{"w", Array::of<double>({0})}}, {{"w", Array::of<double>({1})}});
  EXPECT_TRUE(next.ok()) << next.status();
  return next.ok() ? (*next)["w"].view<double>()[0] : NAN;
}

TEST(Strategy, OptimizersTakeTheirParametersFromTheOptions) {
  const double rate = 0.3, b1 = 0.6, b2 = 0.8, tau = 0.1;
  EXPECT_DOUBLE_EQ(first_step(fed_avg_m({.learning_rate = rate, .beta = b1})), rate);
  EXPECT_DOUBLE_EQ(
      first_step(fed_adam(
          {.clients_train = 10, .learning_rate = rate, .beta_1 = b1, .beta_2 = b2, .tau = tau})),
      rate * (1 - b1) / (std::sqrt(b2 * tau * tau + (1 - b2)) + tau));
  EXPECT_DOUBLE_EQ(
      first_step(fed_yogi({.learning_rate = rate, .beta_1 = b1, .beta_2 = b2, .tau = tau})),
      rate * (1 - b1) / (std::sqrt(tau * tau + (1 - b2)) + tau));
  EXPECT_DOUBLE_EQ(first_step(fed_adagrad({.learning_rate = rate, .beta_1 = b1, .tau = tau})),
                   rate * (1 - b1) / (std::sqrt(tau * tau + 1) + tau));
}

TEST(Strategy, FedProxTellsClientsMu) {
  EXPECT_EQ(fed_prox({.proximal_mu = 0.25}).client_config, (ConfigRecord{{"proximal-mu", 0.25}}));
  EXPECT_EQ(error(fed_prox({.proximal_mu = -1})),
            "strategy fed-prox: client_config \"proximal-mu\" = -1, expected a finite number of at "
            "least 0");
}

TEST(Strategy, ValidateNamesStrategyFieldAndValue) {
  EXPECT_EQ(error(fed_avg({.clients_train = 101})),
            "strategy fed-avg: train: sampler: count 101 of a population of 100: ask fewer "
            "clients, or raise the number of nodes");
  EXPECT_EQ(error(fed_avg({.clients_evaluate = 101})),
            "strategy fed-avg: evaluate: sampler: count 101 of a population of 100: ask fewer "
            "clients, or raise the number of nodes");
  EXPECT_EQ(error(fed_avg({.fraction_train = 0})),
            "strategy fed-avg: train: the sampler picks nobody (fraction 0, at least 0)");
  EXPECT_EQ(error(fed_avg({.weight_key = ""})),
            "strategy fed-avg: neither a weight_key nor a weight function");
  EXPECT_EQ(error(fed_avg({.weight_max = 0})),
            "strategy fed-avg: weight_max = 0, expected above 0");
  EXPECT_EQ(error(fed_avg({.quorum = 1.5})),
            "strategy fed-avg: quorum = 1.5, expected a share from 0 to 1");
  EXPECT_EQ(error(fed_avg({.wrap_up = std::chrono::seconds(1)})),
            "strategy fed-avg: wrap_up = 1 s, expected less than the deadline (there is none)");
  EXPECT_EQ(
      error(fed_avg({.deadline = std::chrono::seconds(2), .wrap_up = std::chrono::seconds(2)})),
      "strategy fed-avg: wrap_up = 2 s, expected less than the deadline (2 s)");
  EXPECT_EQ(
      error(fed_avg({.deadline = std::chrono::seconds(2), .wrap_up = std::chrono::seconds(0)})),
      "strategy fed-avg: wrap_up = 0, expected a finite number above 0");
  EXPECT_EQ(error(fed_avg({.deadline = std::chrono::seconds(0)})),
            "strategy fed-avg: deadline = 0, expected a finite number above 0");
  EXPECT_EQ(error(fed_avg({.evaluate_every = 0})),
            "strategy fed-avg: evaluate_every = 0, expected at least 1");
  EXPECT_EQ(error(fed_adam({.tau = 0})),
            "strategy fed-adam: adam: tau = 0, expected a finite number above 0");
  Strategy custom;
  custom.client_config.set("round", 1);
  EXPECT_EQ(error(custom),
            "strategy custom: client_config has \"round\", which every message has anyway");
}

}  // namespace
}  // namespace umbel
