#include <torch/torch.h>
#include <umbel/torch.h>
#include <umbel/umbel.h>

#include <algorithm>

#include "cnn.h"
#include "data.h"

namespace {

// How a client trains; a setting that makes no sense is an error before the first round.
struct Training {
  int64_t epochs, batch;
  double rate;

  explicit Training(const umbel::RunConfig& config)
      : epochs(config.integer("local-epochs", umbel::at_least(1))),
        batch(config.integer("batch-size", umbel::at_least(1))),
        rate(config.real("learning-rate", umbel::kPositive)) {}
};

umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  const Training training(context.run_config());
  const Federation& data = federation(context);
  const std::vector<uint32_t> held = data.partition.examples(context.partition_id());
  const auto examples = torch::tensor(std::vector<int64_t>(held.begin(), held.end()));

  Cnn model;
  umbel::torch::load(message.arrays(), model);
  torch::optim::SGD optimizer(model.parameters(), training.rate);
  double loss_sum = 0;
  int64_t steps = 0;
  for (int64_t epoch = 0; epoch != training.epochs; ++epoch) {
    const auto shuffled = examples.index_select(0, torch::randperm(examples.numel()));
    for (const auto& batch : shuffled.split(training.batch)) {
      optimizer.zero_grad();
      const auto logits = model.forward(data.images.pixels.index_select(0, batch));
      auto loss = torch::cross_entropy_loss(logits, data.images.labels.index_select(0, batch));
      loss.backward();
      optimizer.step();
      loss_sum += loss.item<double>();
      ++steps;
    }
  }
  return message.reply(umbel::torch::arrays(model),
                       {{"num-examples", held.size()}, {"loss", loss_sum / double(steps)}});
}

// Loss and accuracy on the test images, in pieces over all processors.
umbel::MetricRecord evaluate(const umbel::Context& context, const umbel::ArrayRecord& arrays) {
  static const Images test(umbel::data::fashion_mnist(umbel::data::Split::kTest));
  const auto pixels = test.pixels.split(500), labels = test.labels.split(500);
  auto scores = torch::zeros({int64_t(pixels.size()), 2}, torch::kDouble);
  context.parallel().for_each(pixels.size(), [&](size_t i) {
    const umbel::torch::Isolated here(context.run_seed());
    const torch::NoGradGuard no_grad;
    Cnn model;
    umbel::torch::load(arrays, model);
    model.eval();
    const auto logits = model.forward(pixels[i]);
    scores[i][0] = logits.argmax(1).eq(labels[i]).sum();
    scores[i][1] = torch::cross_entropy_loss(logits, labels[i], {}, at::Reduction::Sum);
  });
  const auto mean = scores.sum(0) / test.labels.numel();
  return {{"accuracy", mean[0].item<double>()}, {"loss", mean[1].item<double>()}};
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const umbel::RunConfig& config = context.run_config();
  (void)Training(config);
  const auto wanted = uint64_t(config.integer("clients-per-round", umbel::at_least(1)));
  const umbel::torch::Isolated here(context.run_seed());
  const auto result = umbel::run_rounds(
      grid, context, umbel::fed_avg_m({.clients_train = std::min(wanted, grid.node_count())}),
      umbel::torch::arrays(Cnn()),
      {.rounds = uint64_t(config.integer("rounds", umbel::at_least(1))),
       .evaluate = [&](uint64_t, const auto& arrays) { return evaluate(context, arrays); }});
  context.save("model.safetensors", result.arrays);
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().mod(umbel::torch::isolate).train(train);
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)
