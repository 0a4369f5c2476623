#pragma once

#include <cstdint>
#include <vector>

#include "umbel/data/partition_scheme.h"
#include "umbel/record/array.h"

namespace umbel::data {

// Quantity skew: clients who differ in how many examples they have.  Where clients may be empty
// (examples_min 0) there may be more clients than examples, up to kClientsSharedMax.
inline constexpr uint64_t kClientsSharedMax = 10'000'000;

enum class SizeLaw { kLinear, kSquare, kExponential };

struct SizedOptions {
  SizeLaw law = SizeLaw::kLinear;
  uint64_t clients = 100;
  uint64_t seed = 0;
  uint64_t examples_min = 1;  // of each client; 0 allows empty ones
};
// Random examples, each to one client; client i gets a share in proportion to i + 1, (i + 1)^2 or
// exp(i), less than one example away from it.  INVALID_ARGUMENT, naming client and option, if one
// would have fewer than examples_min.  4 bytes per example and client.
Result<Partition> sized(uint64_t examples, const SizedOptions& options);

struct DrawnSizedOptions {
  SizeLaw law = SizeLaw::kLinear;     // linear or square
  uint64_t clients = 1'000'000;       // 1 to 2^53
  uint64_t examples_per_client = 60;  // on average: 1 to the number of examples
  uint64_t seed = 0;
};
// The same laws for populations of any size: a client's examples are drawn from its own seed, its
// number of them is the law's to the nearest, but at least 1 and at most all that there are.
Result<Partition> drawn_sized(uint64_t examples, const DrawnSizedOptions& options);

struct InnerDirichletOptions {
  uint64_t clients = 100;
  double alpha = 0.3;       // of the labels, as dirichlet()'s
  double size_sigma = 0.5;  // of the sizes' logarithm: 0 (equal sizes) to 5
  uint64_t seed = 0;
  uint64_t examples_min = 1;
  std::vector<uint64_t>
      sizes;  // of each client, instead of a law; what they leave belongs to nobody
};
// Label and quantity skew at once (Acar et al. 2021, FedDyn): sizes in proportion to a log-normal
// number of each client, and mixes of labels that are points of Dirichlet(alpha, ..., alpha); how
// examples are shared out by them is written at dirichlet().
Result<Partition> inner_dirichlet(const Array& labels, const InnerDirichletOptions& options);

struct DrawnInnerOptions {
  uint64_t clients = 1'000'000;
  double alpha = 0.3;
  double size_sigma = 0.5;
  uint64_t examples_per_client = 60;  // on average, but for what rounding and the data's end take
  uint64_t seed = 0;
};
// The same for populations of any size, as drawn() is of dirichlet().
Result<Partition> drawn_inner(const Array& labels, const DrawnInnerOptions& options);

}  // namespace umbel::data
