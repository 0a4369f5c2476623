// Many phones with a few photos each, some of them many; a phone sees some kinds of things only.
// A hundred learn at a time, on what they have, at night; what they learn is folded and dropped.
#include <umbel/umbel.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "cnn.h"

namespace {

constexpr int64_t kSide = 28;

// Fashion-MNIST stands for photos; whose is which is drawn from the run's seed.
struct Photos {
  umbel::data::Dataset all = umbel::data::fashion_mnist(umbel::data::Split::kTrain);
  umbel::data::Dataset test = umbel::data::fashion_mnist(umbel::data::Split::kTest);
  umbel::data::Partition phones;

  explicit Photos(const umbel::Context& context)
      : phones(umbel::or_throw(umbel::data::make_partition(
            all.labels, {.kind = "inner-dirichlet",
                         .clients = context.num_partitions(),
                         .alpha = context.run_config().real("label-alpha", umbel::kPositive),
                         .seed = context.run_seed(),
                         .examples_per_client = 20,
                         .size_sigma = context.run_config().real("size-sigma")}))) {}
};

const Photos& photos(const umbel::Context& context) {
  static const Photos shared(context);
  return shared;
}

Cnn::Batch batch(const umbel::data::Dataset& from, std::span<const uint32_t> examples) {
  Cnn::Batch batch{.images = Cnn::Matrix(kSide * kSide, examples.size()), .labels = {}};
  for (size_t i = 0; i != examples.size(); ++i) {
    const uint8_t* pixels = from.features.view<uint8_t>().data() + kSide * kSide * examples[i];
    float* image = batch.images.col(static_cast<int64_t>(i)).data();
    for (int64_t p = 0; p != kSide * kSide; ++p) image[p] = (pixels[p] - 73.0f) / 90.0f;
    batch.labels.push_back(from.labels.view<int32_t>()[examples[i]]);
  }
  return batch;
}

umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  constexpr size_t kBatch = 10;
  const umbel::RunConfig& config = context.run_config();
  const auto rate = static_cast<float>(config.real("learning-rate", umbel::kPositive));
  const int64_t epochs = config.integer("local-epochs", umbel::at_least(1));
  std::vector<uint32_t> own = photos(context).phones.examples(context.partition_id());
  umbel::Rng rng = context.rng();
  Cnn net(message.arrays());
  for (int64_t epoch = 0; epoch != epochs; ++epoch) {
    rng.shuffle(std::span(own));
    for (size_t at = 0; at < own.size(); at += kBatch) {
      const size_t count = std::min(kBatch, own.size() - at);
      net.train(batch(photos(context).all, std::span(own).subspan(at, count)), rate);
    }
  }
  return message.reply(std::move(net).arrays(), {{"num-examples", own.size()}, {"epochs", epochs}});
}

umbel::MetricRecord evaluate(const umbel::ArrayRecord& arrays, const umbel::data::Dataset& test) {
  std::vector<uint32_t> some(2000);
  std::iota(some.begin(), some.end(), 0u);
  const Cnn::Score score = Cnn(arrays).evaluate(batch(test, some));
  const auto count = static_cast<double>(some.size());
  return {{"accuracy", static_cast<double>(score.correct) / count}, {"loss", score.loss / count}};
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const Photos& data = photos(context);
  const auto rounds = context.run_config().integer("rounds", umbel::at_least(1));
  const auto skew = umbel::data::measure_skew(data.phones, data.all.labels, context.run_seed());
  context.publish("data-skew", umbel::data::to_metrics(umbel::or_throw(skew)));
  // No phone counts for more than 50 photos, however many it has; who is late is not waited for,
  // but a round with less than half of those asked is none.
  umbel::run_rounds(grid, context,
                    umbel::fed_avg({.clients_train = 100,
                                    .weight_max = 50,
                                    .quorum = 0.5,
                                    .deadline = std::chrono::minutes(1)}),
                    Cnn::initial(kSide, 10, umbel::Rng(context.run_seed())),
                    {.rounds = static_cast<uint64_t>(rounds),
                     .evaluate = [&](uint64_t, const umbel::ArrayRecord& arrays) {
                       return evaluate(arrays, data.test);
                     }});
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().train(train);
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)
