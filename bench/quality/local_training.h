#pragma once

#include <span>
#include <vector>

#include "bench/quality/images.h"
#include "umbel/umbel.h"

namespace umbel::bench {

struct LocalTraining {
  int64_t epochs;
  size_t batch;
  float rate;
  float mu = 0;  // FedProx: (mu / 2) |w - received|^2 is added to the loss
};

struct Trained {
  ArrayRecord arrays;
  double loss;    // mean over the batches
  int64_t steps;  // of SGD
};

// SGD from `received` over the examples in an order that `rng` draws.  `drift`, where it is not
// empty, has the model's layout, and is added to every gradient.
Trained train_locally(const LocalTraining& how, const ArrayRecord& received,
                      const ArrayRecord& drift, const Images& images,
                      std::vector<uint32_t> examples, Rng rng);

}  // namespace umbel::bench
