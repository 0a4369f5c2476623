#include <torch/torch.h>
#include <umbel/torch.h>
#include <umbel/umbel.h>

#include <algorithm>
#include <numeric>

#include "cnn.h"

namespace {

// Images and labels as tensors; the pixels lie in a mapped file and are not copied.
struct Images {
  torch::Tensor pixels, labels;
  explicit Images(const umbel::data::Dataset& data)
      : pixels(umbel::torch::to_tensor(data.features)),
        labels(umbel::torch::to_tensor(data.labels).to(torch::kLong)) {}
};

// The training images and who holds which; made once in this process, from the run's settings.
struct Federation {
  umbel::data::Dataset data = umbel::data::fashion_mnist(umbel::data::Split::kTrain);
  Images images{data};
  umbel::data::Partition partition;

  explicit Federation(const umbel::Context& context)
      : partition(umbel::or_throw(umbel::data::make_partition(
            data.labels, {.kind = "dirichlet",
                          .clients = context.num_partitions(),
                          .alpha = context.run_config().real("dirichlet-alpha", umbel::kPositive),
                          .seed = context.run_seed()}))) {}
};

const Federation& federation(const umbel::Context& context) {
  static const Federation shared(context);
  return shared;
}

umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  const umbel::RunConfig& config = context.run_config();
  const Federation& data = federation(context);
  const std::vector<uint32_t> held = data.partition.examples(context.partition_id());
  const auto examples = torch::tensor(std::vector<int64_t>(held.begin(), held.end()));

  Cnn model;
  umbel::torch::load(message.arrays(), model);
  torch::optim::SGD optimizer(model.parameters(), config.real("learning-rate", umbel::kPositive));
  double loss_sum = 0;
  int64_t steps = 0;
  for (int64_t epoch = config.integer("local-epochs", umbel::at_least(1)); epoch > 0; --epoch) {
    const auto shuffled = examples.index_select(0, torch::randperm(examples.numel()));
    for (const auto& batch : shuffled.split(config.integer("batch-size", umbel::at_least(1)))) {
      optimizer.zero_grad();
      auto loss =
          torch::cross_entropy_loss(model.forward(data.images.pixels.index_select(0, batch)),
                                    data.images.labels.index_select(0, batch));
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
  const auto pixels = test.pixels.split(500);
  const auto labels = test.labels.split(500);
  std::vector<double> losses(pixels.size()), correct(pixels.size());
  context.parallel().for_each(pixels.size(), [&](size_t i) {
    const umbel::torch::Isolated here(context.run_seed());
    const torch::NoGradGuard no_grad;
    Cnn model;
    umbel::torch::load(arrays, model);
    model.eval();
    const torch::Tensor logits = model.forward(pixels[i]);
    losses[i] = torch::cross_entropy_loss(logits, labels[i], {}, at::Reduction::Sum).item<double>();
    correct[i] = logits.argmax(1).eq(labels[i]).sum().item<double>();
  });
  const auto mean = [&](const std::vector<double>& sums) {
    return std::accumulate(sums.begin(), sums.end(), 0.0) / double(test.labels.numel());
  };
  return {{"accuracy", mean(correct)}, {"loss", mean(losses)}};
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const umbel::RunConfig& config = context.run_config();
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
