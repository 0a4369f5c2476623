// What a federation learns from Fashion-MNIST: softmax regression on unlike clients.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "templates/cpp/mlp.h"
#include "umbel/app/silent_runtime.h"
#include "umbel/simulation/simulation.h"

namespace umbel {
namespace {

constexpr uint64_t kClients = 10;
constexpr uint64_t kSeed = 3;
constexpr size_t kBatch = 50;
constexpr float kRate = 0.02f;

class Learning : public ::testing::Test {
 protected:
  static data::Dataset load(data::Split split) {
    auto dataset = data::load_fashion_mnist(split);
    if (!dataset.ok()) {
      ADD_FAILURE() << message_of(dataset.status());
      return {};
    }
    return *dataset;
  }

  ArrayRecord fit(const ArrayRecord& start, std::span<uint32_t> examples, Rng rng,
                  int epochs) const {
    Mlp model(start);
    for (int epoch = 0; epoch != epochs; ++epoch) {
      rng.shuffle(examples);
      for (size_t first = 0; first < examples.size(); first += kBatch) {
        const size_t count = std::min(kBatch, examples.size() - first);
        (void)model.train(train, examples.subspan(first, count), kRate);
      }
    }
    return std::move(model).arrays();
  }

  double accuracy(const ArrayRecord& arrays) const {
    std::vector<uint32_t> all(static_cast<size_t>(test.size()));
    std::iota(all.begin(), all.end(), 0u);
    return static_cast<double>(Mlp(arrays).evaluate(test, all).correct) /
           static_cast<double>(test.size());
  }

  RoundsResult federate(const Strategy& strategy, const data::Partition& partition,
                        uint64_t rounds) {
    ClientApp app;
    app.train([&](const Message& message, Context& context) {
      std::vector<uint32_t> examples = partition.examples(context.partition_id());
      const size_t count = examples.size();
      return message.reply(fit(message.arrays(), examples, context.rng(), 1),
                           {{"num-examples", count}});
    });
    app.evaluate([&](const Message& message, Context& context) {
      const std::vector<uint32_t> examples = partition.examples(context.partition_id());
      const Mlp::Score score = Mlp(message.arrays()).evaluate(train, examples);
      const auto count = static_cast<double>(examples.size());
      return message.reply({{"num-examples", examples.size()},
                            {"accuracy", static_cast<double>(score.correct) / count}});
    });
    SilentRuntime silent;
    umbel::Run run{.id = RunId(1), .seed = kSeed, .nodes = kClients, .runtime = &silent};
    Simulation simulation(app, run, {});
    return run_rounds(simulation, Context(run), strategy, initial, {.rounds = rounds});
  }

  data::Dataset train = load(data::Split::kTrain);
  data::Dataset test = load(data::Split::kTest);
  ArrayRecord initial = Mlp::initial({784, 10}, Rng(kSeed));
};

TEST_F(Learning, FederationBeatsEverySingleSiteOnTheCommonTest) {
  const auto partition = or_throw(data::shards(train.labels, {.clients = kClients, .seed = kSeed}));
  double best_alone = 0;
  for (uint64_t client = 0; client != kClients; ++client) {
    std::vector<uint32_t> examples = partition.examples(client);
    best_alone = std::max(best_alone, accuracy(fit(initial, examples, Rng(client), 5)));
  }
  const double together = accuracy(federate(fed_avg(), partition, 15).arrays);
  RecordProperty("best_alone", std::to_string(best_alone));
  RecordProperty("together", std::to_string(together));
  EXPECT_LE(best_alone, 0.5) << "a site that has seen few kinds of clothes cannot know the others";
  EXPECT_GE(together, 0.6);
}

TEST_F(Learning, EveryStrategyLearnsFromUnlikeClients) {
  const auto partition =
      or_throw(data::dirichlet(train.labels, {.clients = kClients, .alpha = 0.5, .seed = kSeed}));
  const double before = accuracy(initial);
  for (const Strategy& strategy :
       {fed_avg(), fed_avg_m({.beta = 0.5}), fed_adam({.learning_rate = 0.01}),
        fed_yogi({.learning_rate = 0.01}), fed_adagrad({.learning_rate = 0.03}), fed_prox()}) {
    const double after = accuracy(federate(strategy, partition, 5).arrays);
    EXPECT_GE(after, 0.6) << strategy.name << ", before: " << before;
  }
}

TEST_F(Learning, FederatedEvaluationIsTheMeanOverAllExamples) {
  const auto partition = or_throw(data::iid(static_cast<uint64_t>(train.size()), kClients, kSeed));
  const RoundsResult result = federate(fed_avg({.fraction_evaluate = 1}), partition, 1);
  std::vector<uint32_t> all(static_cast<size_t>(train.size()));
  std::iota(all.begin(), all.end(), 0u);
  const double pooled = static_cast<double>(Mlp(result.arrays).evaluate(train, all).correct) /
                        static_cast<double>(train.size());
  // A prediction at a tie may depend on how many examples a matrix product takes at once.
  EXPECT_NEAR(result.metrics.real("federated-accuracy"), pooled, 1e-4);
  EXPECT_EQ(result.metrics.integer("federated-num-examples"), train.size());
}

}  // namespace
}  // namespace umbel
