#include "bench/workloads.h"

#include "templates/cpp/mlp.h"

namespace umbel::bench {

namespace {

constexpr size_t kExamples = 60;
constexpr size_t kBatch = 20;
constexpr float kRate = 0.05f;

// Noise in Fashion-MNIST's shape: what the pixels are makes no difference to the time.
data::Dataset noise() {
  constexpr int64_t kImages = 10'000;
  Rng rng(7);
  data::Dataset dataset;
  dataset.features = Array::uninitialized(DType::kUint8, {kImages, 28, 28});
  for (uint8_t& pixel : dataset.features.mutable_view<uint8_t>())
    pixel = static_cast<uint8_t>(rng.bits());
  dataset.labels = Array::uninitialized(DType::kInt32, {kImages});
  for (int32_t& label : dataset.labels.mutable_view<int32_t>())
    label = static_cast<int32_t>(rng.below(10));
  dataset.classes = 10;
  dataset.name = "noise";
  return dataset;
}

}  // namespace

ArrayRecord Workload::train(const ArrayRecord& global, uint64_t client) const {
  Rng rng(derive_seed(seed, {client}));
  uint32_t examples[kExamples];
  for (uint32_t& example : examples) {
    example = static_cast<uint32_t>(rng.below(static_cast<uint64_t>(images->size())));
  }
  Mlp model(global);
  for (size_t first = 0; first != kExamples; first += kBatch) {
    (void)model.train(*images, std::span<const uint32_t>(examples).subspan(first, kBatch), kRate);
  }
  return std::move(model).arrays();
}

std::vector<Workload> workloads() {
  static const data::Dataset images = noise();
  return {{"softmax regression, 7,850 parameters", Mlp::initial({784, 10}, Rng(1)), &images},
          {"perceptron 784-200-200-10, 199,210 parameters",
           Mlp::initial({784, 200, 200, 10}, Rng(1)), &images}};
}

}  // namespace umbel::bench
