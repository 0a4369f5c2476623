#include "umbel/app/run_rounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "umbel/app/client_app.h"
#include "umbel/app/fake_grid_test.h"
#include "umbel/app/fake_runtime_test.h"
#include "umbel/strategy/fed_avg.h"

namespace umbel {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using Code = MessageError::Code;

ArrayRecord model(double x) { return {{"x", Array::of<double>({x})}}; }
double x_of(const ArrayRecord& arrays) { return arrays["x"].view<double>()[0]; }

// Client k of n has the loss a_k (x - c_k)^2 / 2 with a_k = k + 1, c_k = k.
class RunRoundsTest : public ::testing::Test {
 protected:
  RunRoundsTest() {
    grid.sleeps = [](NodeId node) { return node.value() % 2 == 1; };
    app.train([](const Message& m, Context& c) {
      const auto k = static_cast<double>(c.partition_id());
      const double x = x_of(m.arrays());
      const double gradient = (k + 1) * (x - k);
      return m.reply(model(x - 0.1 * gradient),
                     {{"num-examples", 1}, {"loss", (x - k) * gradient / 2}});
    });
  }
  // Minimises the sum of the losses: sum (k + 1) k over sum (k + 1).
  double optimum() const {
    double above = 0;
    double below = 0;
    for (uint64_t k = 0; k != run.nodes; ++k) {
      above += static_cast<double>((k + 1) * k);
      below += static_cast<double>(k + 1);
    }
    return above / below;
  }
  RoundsResult go(RoundsOptions options, const Strategy& strategy = fed_avg()) {
    Context context(run);
    return run_rounds(grid, context, strategy, model(100), options);
  }
  static RoundsOptions with_distance(double optimum, RoundsOptions options) {
    options.evaluate = [optimum](uint64_t, const ArrayRecord& arrays) {
      return MetricRecord{{"distance", std::fabs(x_of(arrays) - optimum)}};
    };
    return options;
  }

  FakeRuntime runtime;
  umbel::Run run{.id = RunId(1), .nodes = 4, .runtime = &runtime};
  ClientApp app;
  FakeGrid grid{app, run};
};

TEST_F(RunRoundsTest, ReachesTheOptimumOfAConvexTask) {
  const RoundsResult result = go({.rounds = 200});
  EXPECT_NEAR(x_of(result.arrays), optimum(), 1e-12);
  EXPECT_EQ(result.rounds, 200u);
  EXPECT_EQ(result.history.size(), 200u);
  EXPECT_EQ(runtime.planned, 200u);
  EXPECT_EQ(runtime.model, result.arrays);
}

TEST_F(RunRoundsTest, StopsAtATarget) {
  const RoundsResult result = go(
      with_distance(optimum(), {.rounds = 500, .targets = {{"distance", Compare::kAtMost, 1e-3}}}));
  EXPECT_LT(result.rounds, 100u);
  EXPECT_LE(result.metrics.real("distance"), 1e-3);
  EXPECT_GT(result.history[result.history.size() - 2].server.real("distance"), 1e-3);
  EXPECT_THAT(result.stopped_because, HasSubstr("distance"));
  EXPECT_EQ(runtime.early, result.stopped_because);
}

TEST_F(RunRoundsTest, StopsAtAPlateau) {
  const RoundsResult result = go(with_distance(
      optimum(), {.rounds = 500,
                  .plateaus = {{"distance", /*patience=*/5, /*min_delta=*/1e-6, Better::kLower}}}));
  EXPECT_LT(result.rounds, 200u);
  EXPECT_LE(result.metrics.real("distance"), 1e-4);
}

TEST_F(RunRoundsTest, EvaluatesTheInitialModelOnRequest) {
  const RoundsResult result = go(with_distance(optimum(), {.rounds = 1, .evaluate_initial = true}));
  ASSERT_EQ(result.history.size(), 2u);
  EXPECT_EQ(result.history[0].round, 0u);
  EXPECT_EQ(result.history[0].server.real("distance"), 100 - optimum());
}

TEST_F(RunRoundsTest, EvaluatesOnTheFederationAndNamesItsMetrics) {
  app.evaluate([](const Message& m, Context& c) {
    return m.reply(MetricRecord{{"num-examples", c.partition_id() + 1},
                                {"score", static_cast<double>(c.partition_id())}});
  });
  const RoundsResult result = go({.rounds = 2}, fed_avg({.fraction_evaluate = 1}));
  EXPECT_EQ(result.metrics.real("federated-score"), (0 * 1 + 1 * 2 + 2 * 3 + 3 * 4) / 10.0);
  EXPECT_EQ(result.metrics.real("score"), 2);
  EXPECT_TRUE(result.metrics.contains("train-loss"));
  EXPECT_EQ(grid.types, (std::vector<std::string>{"train", "evaluate", "train", "evaluate"}));
}

TEST_F(RunRoundsTest, CustomWeightsAndCapsCounterBias) {
  const auto last = [](const MetricRecord& m) { return m.real("loss") >= 0 ? 1.0 : 0.0; };
  const RoundsResult equal = go({.rounds = 1}, fed_avg({.weight = last}));
  const RoundsResult usual = go({.rounds = 1}, fed_avg({.weight_max = 1}));
  EXPECT_EQ(equal.arrays, usual.arrays);
}

TEST_F(RunRoundsTest, FailuresAreCountedAndNamed) {
  app.train("flaky", [](const Message& m, Context& c) {
    if (c.partition_id() == 2) throw std::runtime_error("no data");
    return m.reply(m.arrays(), {{"num-examples", 1}});
  });
  const RoundsResult result = go({.rounds = 1, .action = "flaky"});
  EXPECT_EQ(grid.types, std::vector<std::string>{"train.flaky"});
  EXPECT_EQ(result.history[0].clients, 3u);
  EXPECT_EQ(result.history[0].failures, 1u);
  EXPECT_EQ(result.history[0].failure_reasons.at("client-failed"), 1u);
  EXPECT_THAT(runtime.lines, Contains(HasSubstr("client 2 failed (client-failed): no data")));
}

TEST_F(RunRoundsTest, FailsWithTheReasonWhenAllClientsFail) {
  app.train("never", [](const Message&, Context&) -> Message { throw std::runtime_error("no"); });
  try {
    go({.rounds = 10, .action = "never"});
    FAIL() << "the run must fail";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kAborted);
    EXPECT_THAT(error.what(), HasSubstr("0 of 4 replies counted"));
    EXPECT_THAT(error.what(), HasSubstr("for example client 0 (client-failed): no"));
  }
  EXPECT_EQ(grid.types.size(), 3u);
  EXPECT_THAT(runtime.lines, Contains(HasSubstr("1 more clients failed")));
}

TEST_F(RunRoundsTest, FailsAlsoIfTheOnlyRoundFailed) {
  app.train("never", [](const Message&, Context&) -> Message { throw std::runtime_error("no"); });
  try {
    go({.rounds = 1, .action = "never"});
    FAIL() << "the run must fail";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kAborted);
    EXPECT_THAT(error.what(), HasSubstr("no round changed the model: round 1"));
    EXPECT_THAT(error.what(), HasSubstr("for example client 0 (client-failed): no"));
  }
}

TEST_F(RunRoundsTest, AStrategyThatDoesNotFitFailsBeforeAnythingIsSent) {
  EXPECT_THROW(go({.rounds = 1}, fed_avg({.clients_train = 5})), Error);
  EXPECT_THROW(go({.rounds = 0}), Error);
  EXPECT_TRUE(grid.types.empty());
}

TEST_F(RunRoundsTest, SendAndReceiveKeepsTheOrderAndStandsInForTheLate) {
  app.query([](const Message& m, Context& c) {
    return m.reply(MetricRecord{{"id", c.partition_id()}});
  });
  std::vector<Message> messages;
  for (uint64_t node = 0; node != 4; ++node)
    messages.push_back(grid.make_message("query", NodeId(node), {}));
  const std::vector<Message> replies = grid.send_and_receive(messages, std::chrono::seconds(0));
  ASSERT_EQ(replies.size(), 4u);
  for (uint64_t node = 0; node != 4; ++node) {
    EXPECT_EQ(replies[node].source(), NodeId(node));
    EXPECT_EQ(replies[node].metadata().reply_to, messages[node].metadata().id);
    if (node % 2 == 0) {
      EXPECT_EQ(replies[node].metrics().integer("id"), static_cast<int64_t>(node));
    } else {
      EXPECT_EQ(replies[node].error().code, Code::kDeadline);
      EXPECT_THAT(replies[node].error().reason, HasSubstr(fmt::format("client {}", node)));
    }
  }
  EXPECT_EQ(grid.forgotten.size(), 4u);
}

}  // namespace
}  // namespace umbel
