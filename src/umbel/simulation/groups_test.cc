#include "umbel/app/groups.h"

#include "umbel/app/fake_runtime_test.h"
#include "umbel/simulation/simulation_fixture_test.h"

namespace umbel {
namespace {

// 0.97 men and 0.03 women, who pull the model to opposite ends.
class Groups97 : public ::testing::Test {
 protected:
  static constexpr uint64_t kClients = 2000;
  Groups97() {
    run.nodes = kClients;
    run.runtime = &runtime;
    app.train([this](const Message& m, Context& c) { return train(m, c); });
    app.evaluate([](const Message& m, Context& c) {
      return m.reply({{"num-examples", 4},
                      {"is-woman", is_woman(c) ? 1 : 0},
                      {"accuracy", accuracy(m, is_woman(c))}});
    });
  }
  static bool is_woman(const Context& c) { return c.node_config().text("gender") == "women"; }
  // One number w: how far towards women's labels the model leans; men are right while w < 0.7,
  // women once w > 0.3.  A client's update moves w to its own group's end.
  static double accuracy(const Message& m, bool woman) {
    const double w = m.arrays()["w"].view<float>()[0];
    return woman ? w > 0.3 : w < 0.7;
  }
  Message train(const Message& m, const Context& c) const {
    const float w = m.arrays()["w"].view<float>()[0];
    const float target = is_woman(c) ? 1.0f : 0.0f;
    const float to = w + 0.5f * (target - w);
    return m.reply({{"w", Array::of<float>({to, to})}},
                   {{"num-examples", 4}, {"is-woman", is_woman(c) ? 1 : 0}});
  }
  RoundsResult rounds(const Strategy& strategy, uint64_t count, uint64_t size_min = 5,
                      std::vector<double> shares = {0.97, 0.03}) {
    Population population = or_throw(Population::make(
        {.attributes = {{"gender", {"men", "women"}, shares}}}, kClients, run.seed));
    Simulation grid(app, run, {.threads = 2, .population = std::move(population)});
    Context context(run);
    return run_rounds(grid, context, strategy, model(2),
                      {.rounds = count, .groups = Groups{"gender", size_min}});
  }
  FakeRuntime runtime;
  umbel::Run run{.id = RunId(1), .seed = 42};
  ClientApp app;
};

TEST_F(Groups97, QuotaSamplingRaisesTheSmallGroupsAccuracy) {
  Strategy strategy = fed_avg({.clients_train = 100, .fraction_evaluate = 1});
  const RoundsResult uniform = rounds(strategy, 10);
  strategy.train = Sampler::quota("gender", {{"men", 30}, {"women", 30}});
  const RoundsResult quota = rounds(strategy, 10);
  EXPECT_EQ(uniform.metrics.real("federated-accuracy@men"), 1);
  EXPECT_EQ(uniform.metrics.real("federated-accuracy@women"), 0);
  EXPECT_EQ(quota.metrics.real("federated-accuracy@men"), 1);
  EXPECT_EQ(quota.metrics.real("federated-accuracy@women"), 1);
  // 97 of 100 clients are well served: the mean alone would not have told.
  EXPECT_GT(uniform.metrics.real("federated-accuracy"), 0.95);
}

// Weights that make each group count the same, from a metric that says which one a client is of.
TEST_F(Groups97, BalancedWeightsGiveGroupsTheSameSay) {
  Strategy strategy = fed_avg({.fraction_evaluate = 1});
  const RoundsResult plain = rounds(strategy, 10);
  strategy.fold.weight = [](const MetricRecord& metrics) {
    return metrics.real("num-examples") * (metrics.integer("is-woman") == 1 ? 0.97 : 0.03);
  };
  const RoundsResult balanced = rounds(strategy, 10);
  EXPECT_NEAR(plain.arrays["w"].view<float>()[0], 0.03, 0.02);
  EXPECT_NEAR(balanced.arrays["w"].view<float>()[0], 0.5, 0.1);
  EXPECT_EQ(balanced.metrics.real("federated-accuracy@women"), 1);
}

// weight = min(examples, cap): with a cap of 2 the client of 8 examples counts as two of one.
TEST_F(Groups97, ACapHoldsAClientsWeightDown) {
  ClientApp sized;
  sized.train([](const Message& m, Context& c) {
    return trained(m, c.partition_id() == 0 ? 1 : 0, c.partition_id() == 0 ? 8 : 1);
  });
  umbel::Run few{.id = RunId(2), .seed = 1, .nodes = 5, .runtime = &runtime};
  Simulation grid(sized, few, {.threads = 1});
  Context context(few);
  const auto mean = [&](double cap) {
    const auto result =
        run_rounds(grid, context, fed_avg({.weight_max = cap}), model(2), {.rounds = 1});
    return result.arrays["w"].view<float>()[0];
  };
  EXPECT_FLOAT_EQ(mean(INFINITY), 8.0f / 12);
  EXPECT_FLOAT_EQ(mean(2), 2.0f / 6);
}

TEST_F(Groups97, TheMeanOverGroupsIsTheMeanOverEverybody) {
  Strategy strategy = fed_avg({.clients_train = 10, .clients_evaluate = 500});
  app = ClientApp();
  app.train([this](const Message& m, Context& c) { return train(m, c); });
  app.evaluate([](const Message& m, Context& c) {
    const auto id = static_cast<double>(c.partition_id());
    return m.reply({{"num-examples", static_cast<int64_t>(c.partition_id() % 9 + 1)}, {"id", id}});
  });
  const RoundsResult split = rounds(strategy, 1);
  Population population = or_throw(Population::make(
      {.attributes = {{"gender", {"men", "women"}, {0.97, 0.03}}}}, kClients, run.seed));
  Simulation grid(app, run, {.threads = 2, .population = std::move(population)});
  runtime.reports.clear();
  Context context(run);
  const RoundsResult whole = run_rounds(grid, context, strategy, model(2), {.rounds = 1});
  EXPECT_NEAR(split.history[0].evaluate.real("id"), whole.history[0].evaluate.real("id"), 1e-9);
  EXPECT_EQ(split.history[0].evaluate["num-examples"], whole.history[0].evaluate["num-examples"]);
  EXPECT_TRUE(split.history[0].evaluate.contains("id@women"));
  EXPECT_FALSE(split.history[0].evaluate.contains("num-examples@women"));
}

TEST_F(Groups97, ASmallGroupIsNotToldOfNorWhatItCouldBeToldFrom) {
  // 40 of 2,000 clients: one woman or so.  Of two groups neither is then told of.
  Strategy strategy = fed_avg({.clients_train = 10, .clients_evaluate = 40});
  const RoundsResult few = rounds(strategy, 1);
  EXPECT_TRUE(few.history[0].evaluate.contains("accuracy"));
  EXPECT_FALSE(few.history[0].evaluate.contains("accuracy@women"));
  EXPECT_FALSE(few.history[0].evaluate.contains("accuracy@men"));
  const RoundsResult enough = rounds(strategy, 1, 2, {0.5, 0.5});
  EXPECT_TRUE(enough.history[0].evaluate.contains("accuracy@women"));
  EXPECT_TRUE(enough.history[0].evaluate.contains("accuracy@men"));
}

// Which of four groups are told of, for all sizes from 0 to 6: those that are not are nobody's, or
// at least two groups with enough clients together.
TEST_F(Groups97, WhatIsNotToldIsAlwaysEnoughTogether) {
  constexpr uint64_t kMin = 4;
  ClientApp counting;
  counting.evaluate([](const Message& m, Context&) {
    return m.reply({{"num-examples", 1}, {"x", 1.0}});
  });
  Population population = or_throw(Population::make(
      {.attributes = {{"k", {"a", "b", "c"}, {0.4, 0.3, 0.3}}}}, kClients, run.seed));
  std::vector<std::vector<uint64_t>> of(3);
  for (uint64_t i = 0; i != kClients; ++i) of[population.category(i, 0)].push_back(i);
  Simulation grid(counting, run, {.threads = 1, .population = population});
  for (int code = 1; code != 343; ++code) {
    const uint64_t sizes[] = {static_cast<uint64_t>(code % 7), static_cast<uint64_t>(code / 7 % 7),
                              static_cast<uint64_t>(code / 49)};
    Broadcast broadcast{"evaluate", 1, {}, make_content(model(2), {})};
    for (int g = 0; g != 3; ++g) {
      broadcast.nodes.insert(broadcast.nodes.end(), of[g].begin(),
                             of[g].begin() + static_cast<ptrdiff_t>(sizes[g]));
    }
    const auto fold = evaluate_groups(grid, broadcast, {nullptr, {}}, {}, {"k", kMin});
    EXPECT_EQ(fold.replies, sizes[0] + sizes[1] + sizes[2]);
    uint64_t hidden = 0, together = 0;
    const char* const names[] = {"x@a", "x@b", "x@c"};
    for (int g = 0; g != 3; ++g) {
      if (sizes[g] == 0) continue;
      if (fold.metrics.contains(names[g])) {
        EXPECT_GE(sizes[g], kMin);
      } else {
        ++hidden;
        together += sizes[g];
      }
    }
    const bool everything = together == sizes[0] + sizes[1] + sizes[2];
    EXPECT_TRUE(hidden == 0 || everything || (hidden >= 2 && together >= kMin))
        << sizes[0] << " " << sizes[1] << " " << sizes[2];
  }
}

TEST_F(Groups97, AskedGroupsTakeTheTimeOfTheLongest) {
  Population population = or_throw(Population::make(
      {.latency_seconds = 2, .attributes = {{"gender", {"men", "women"}, {0.5, 0.5}}}}, kClients,
      run.seed));
  Simulation grid(app, run, {.threads = 1, .population = std::move(population)});
  Context context(run);
  const auto result =
      run_rounds(grid, context, fed_avg({.clients_train = 5, .clients_evaluate = 100}), model(2),
                 {.rounds = 1, .groups = Groups{"gender"}});
  EXPECT_EQ(result.history[0].virtual_time->seconds, 4);
}

TEST_F(Groups97, GroupsNeedAnAttributeThatIsKnown) {
  Simulation grid(app, run, {.threads = 1});
  Context context(run);
  EXPECT_THROW(run_rounds(grid, context, fed_avg(), model(2), {.groups = Groups{"gender"}}), Error);
  EXPECT_THROW((void)rounds(fed_avg(), 1, 1), Error);
}

}  // namespace
}  // namespace umbel
