#include "bench/quality/local_training.h"

namespace umbel::bench {

namespace {

std::vector<Cnn::Matrix> matrices(const ArrayRecord& arrays) {
  std::vector<Cnn::Matrix> all;
  for (const auto& [name, array] : arrays) {
    const int64_t rows = array.shape()[0];
    all.emplace_back(Cnn::ConstWeight(array.view<float>().data(), rows, array.size() / rows));
  }
  return all;
}

}  // namespace

Trained train_locally(const LocalTraining& how, const ArrayRecord& received,
                      const ArrayRecord& drift, const Images& images,
                      std::vector<uint32_t> examples, Rng rng) {
  Cnn net(received);
  const std::vector<Cnn::Matrix> start =
      how.mu > 0 ? matrices(received) : std::vector<Cnn::Matrix>{};
  const std::vector<Cnn::Matrix> added = matrices(drift);
  Cnn::Batch batch;
  double loss = 0;
  int64_t steps = 0;
  for (int64_t epoch = 0; epoch != how.epochs; ++epoch) {
    rng.shuffle(std::span(examples));
    for (size_t first = 0; first < examples.size(); first += how.batch, ++steps) {
      const size_t count = std::min(how.batch, examples.size() - first);
      images.fill(batch, std::span<const uint32_t>(examples).subspan(first, count));
      loss += net.find_gradient(batch);
      for (size_t i = 0; i != net.weights().size(); ++i) {
        auto& w = net.weights()[i];
        if (!start.empty()) w -= how.rate * how.mu * (w - start[i]);
        if (!added.empty()) w -= how.rate * added[i];
        w -= how.rate * net.gradient()[i];
      }
    }
  }
  return {std::move(net).arrays(), loss / static_cast<double>(std::max<int64_t>(steps, 1)), steps};
}

}  // namespace umbel::bench
