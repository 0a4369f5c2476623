#include <umbel/umbel.h>

#include <algorithm>
#include <numeric>
#include <span>

#include "mlp.h"

namespace {

// The training images and who holds which; made once in this process, from the run's settings.
struct Federation {
  umbel::data::Dataset images = umbel::data::fashion_mnist(umbel::data::Split::kTrain);
  umbel::data::Partition partition;

  explicit Federation(const umbel::Context& context)
      : partition(umbel::or_throw(
            umbel::data::make_partition(images.labels, {.kind = "shards",
                                                        .clients = context.num_partitions(),
                                                        .seed = context.run_seed(),
                                                        .shards_per_client = 1}))) {}
};

const Federation& federation(const umbel::Context& context) {
  static const Federation shared(context);
  return shared;
}

// How a client trains; a setting that makes no sense is an error before the first round.
struct Training {
  int64_t epochs;
  size_t batch;
  float rate;

  explicit Training(const umbel::RunConfig& config)
      : epochs(config.integer("local-epochs", umbel::at_least(1))),
        batch(static_cast<size_t>(config.integer("batch-size", umbel::at_least(1)))),
        rate(static_cast<float>(config.real("learning-rate", umbel::kPositive))) {}
};

umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  const Training training(context.run_config());
  const Federation& data = federation(context);
  std::vector<uint32_t> examples = data.partition.examples(context.partition_id());
  umbel::Rng rng = context.rng();
  Mlp model(message.arrays());
  double loss = 0;
  int64_t steps = 0;
  for (int64_t epoch = 0; epoch != training.epochs; ++epoch) {
    rng.shuffle(std::span(examples));
    for (size_t first = 0; first < examples.size(); first += training.batch, ++steps) {
      const size_t count = std::min(training.batch, examples.size() - first);
      loss += model.train(data.images, std::span(examples).subspan(first, count), training.rate);
    }
  }
  return message.reply(std::move(model).arrays(), {{"num-examples", examples.size()},
                                                   {"loss", loss / static_cast<double>(steps)},
                                                   {"steps", steps}});
}

// Loss and accuracy on the test images, in pieces over all processors.
umbel::MetricRecord evaluate(const umbel::Context& context, const umbel::ArrayRecord& arrays) {
  static const auto images = umbel::data::fashion_mnist(umbel::data::Split::kTest);
  constexpr size_t kPiece = 500;
  std::vector<uint32_t> examples(static_cast<size_t>(images.size()));
  std::iota(examples.begin(), examples.end(), 0u);
  std::vector<Mlp::Score> scores(examples.size() / kPiece);
  context.parallel().for_each(scores.size(), [&](size_t piece) {
    scores[piece] =
        Mlp(arrays).evaluate(images, std::span(examples).subspan(piece * kPiece, kPiece));
  });
  Mlp::Score all;
  for (const Mlp::Score& score : scores) all = {all.loss + score.loss, all.correct + score.correct};
  const auto count = static_cast<double>(scores.size() * kPiece);
  return {{"accuracy", static_cast<double>(all.correct) / count}, {"loss", all.loss / count}};
}

// Plain averaging, or averaging that is corrected by the memory of earlier rounds: a round that saw
// few labels moves the model a little only.
umbel::Strategy strategy_of(const umbel::RunConfig& config, uint64_t clients) {
  if (config.text("strategy", {"fed-avg", "fed-avg-m"}) == "fed-avg") {
    return umbel::fed_avg({.clients_train = clients});
  }
  return umbel::fed_avg_m({.clients_train = clients,
                           .learning_rate = config.real("server-learning-rate", umbel::kPositive),
                           .beta = 0.9});
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const umbel::RunConfig& config = context.run_config();
  (void)Training(config);
  const Federation& data = federation(context);
  const auto skew =
      umbel::data::measure_skew(data.partition, data.images.labels, context.run_seed());
  context.log(fmt::format("{} training images at {} clients", data.images.size(),
                          data.partition.clients()));
  context.publish("data", {{"bytes", data.images.features.byte_size()}});
  context.publish("data-skew", umbel::data::to_metrics(umbel::or_throw(skew)));

  const int64_t wanted = config.integer("clients-per-round", umbel::at_least(1));
  // A small federation has fewer: then all of them.
  const auto clients = std::min<uint64_t>(static_cast<uint64_t>(wanted), grid.node_count());
  const auto initial = Mlp::initial({784, 50, 10}, umbel::Rng(context.run_seed()));
  const auto result = umbel::run_rounds(
      grid, context, strategy_of(config, clients), initial,
      {.rounds = static_cast<uint64_t>(config.integer("rounds", umbel::at_least(1))),
       .evaluate = [&](uint64_t, const umbel::ArrayRecord& arrays) {
         return evaluate(context, arrays);
       }});
  context.save("model.safetensors", result.arrays);
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().train(train);
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)
