#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "umbel/umbel.h"

namespace umbel::bench {

// A model and how a client trains it: 60 examples of Fashion-MNIST (or of noise in its shape), one
// epoch, batches of 20.  The same code with and without the engine around it.
struct Workload {
  const char* name;
  ArrayRecord initial;
  // One client's training: the new arrays.
  ArrayRecord train(const ArrayRecord& global, uint64_t client) const;

  const data::Dataset* images;
  uint64_t seed = 1;
};

// Softmax regression, 7,850 parameters; and the perceptron 784-200-200-10.
std::vector<Workload> workloads();

}  // namespace umbel::bench
