#pragma once

#include <torch/torch.h>
#include <umbel/torch.h>
#include <umbel/umbel.h>

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

inline const Federation& federation(const umbel::Context& context) {
  static const Federation shared(context);
  return shared;
}
