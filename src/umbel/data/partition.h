#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "umbel/data/dataset.h"
#include "umbel/data/partition_along.h"
#include "umbel/data/partition_natural.h"
#include "umbel/data/partition_scheme.h"
#include "umbel/data/partition_sizes.h"
#include "umbel/record/array.h"

namespace umbel::data {

// The classical partitions: each of n examples goes to exactly one of the clients, who get n /
// clients or one more (shards_per_client more at most, of shards).  They hold 4 bytes per example
// and client.  INVALID_ARGUMENT, naming the option, where one cannot be made: there must be at
// least as many examples as clients.

// A uniformly random split.
Result<Partition> iid(uint64_t examples, uint64_t clients, uint64_t seed);

struct DirichletOptions {
  uint64_t clients = 1000;
  double alpha = 0.3;  // finite, above 0; the smaller, the fewer labels a client sees
  uint64_t seed = 0;
  uint64_t examples_min = 1;  // of each client
};
// Label skew (Hsu, Qi and Brown 2019; in the balanced form of Reddi et al. 2021).  Each client's
// mix of labels is a point of Dirichlet(alpha, ..., alpha) over the labels that occur; this alpha
// is NIID-Bench's, and Hsu's divided by the number of labels.  The clients, in random order, draw
// their examples without replacement by their mix; a label that has run out is left out of it, and
// a client whose whole mix has run out takes what remains in proportion.  Sizes are equal, so label
// skew is all the skew there is.  O(n + clients * labels) time.
Result<Partition> dirichlet(const Array& labels, const DirichletOptions& options);

struct ShardOptions {
  uint64_t clients = 1000;
  uint64_t shards_per_client = 2;
  uint64_t seed = 0;
};
// McMahan et al. 2017: the examples sorted by label and cut into clients * shards_per_client
// shards, of which each client gets shards_per_client at random.
Result<Partition> shards(const Array& labels, const ShardOptions& options);

// Partitions for populations of any size, larger than the data as well: each client's examples are
// drawn from its own seed, without repeats while the data lasts (a client may hold what another
// holds too).  Nothing is stored per client; examples() takes time for that client alone.

struct DrawnOptions {
  uint64_t clients = 1000;
  double alpha = 0.3;
  uint64_t examples_per_client = 60;  // 1 to the number of examples
  uint64_t seed = 0;
};
// Each client's mix of labels as in dirichlet(), its examples drawn independently by that mix.
// Where a client wants more of one label than there are, it holds some of them several times.
Result<Partition> drawn(const Array& labels, const DrawnOptions& options);
// Each client: a uniformly random set of examples; alpha is not used.
Result<Partition> drawn_iid(uint64_t examples, const DrawnOptions& options);

struct DrawnShardOptions {
  uint64_t clients = 1000;
  uint64_t shards_per_client = 2;
  uint64_t examples_per_client = 60;
  uint64_t seed = 0;
};
// Each client: random shards, of examples_per_client / shards_per_client examples each or one more,
// of the examples sorted by label.
Result<Partition> drawn_shards(const Array& labels, const DrawnShardOptions& options);

// Any partition by the name of its kind, for settings that users write.
struct PartitionOptions {
  // "dirichlet", "iid", "shards", "linear", "square", "exponential", "inner-dirichlet",
  // "natural-id", "grouped-natural-id", "continuous" or "temporal"
  std::string kind = "dirichlet";
  uint64_t clients = 1000;
  double alpha = 0.3;  // of "dirichlet" and "inner-dirichlet"
  uint64_t seed = 0;
  uint64_t examples_per_client = 60;  // where clients are drawn; otherwise the data decides
  uint64_t shards_per_client = 2;     // of "shards"
  double size_sigma = 0.5;            // of "inner-dirichlet"
  double strictness = 1;              // of "continuous" and "temporal"
  std::optional<uint64_t> windows;    // of "temporal"; by default as many as clients, 10 at most
  uint64_t examples_min = 1;          // of each client, where the data are shared out
  Array natural_ids;                  // int32 [n], of "natural-id" and "grouped-natural-id"
  Array axis;  // [n], of "continuous"; the times of "temporal", or none: the order of the examples
};
// The classical form where clients can have at least kExamplesPerClientShared examples on average,
// the drawn form for more clients than that.  "exponential" and the natural ids have no drawn form.
// "natural-id" has as many clients as there are ids, and `clients` must say so; or one, which holds
// what all of them hold: what an app is compared with that has no federation.
inline constexpr uint64_t kWindowsDefault = 10;
inline constexpr uint64_t kExamplesPerClientShared = 10;
Result<Partition> make_partition(const Array& labels, const PartitionOptions& options);
// The same with the data set's natural ids, unless the options have others.
Result<Partition> make_partition(const Dataset& dataset, PartitionOptions options);

}  // namespace umbel::data
