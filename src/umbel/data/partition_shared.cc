// The classical partitions: every example belongs to exactly one client.

#include <span>
#include <utility>

#include "umbel/data/partition.h"
#include "umbel/data/partition_options.h"
#include "umbel/data/partition_parts.h"

namespace umbel::data {

Result<Partition> iid(uint64_t examples, uint64_t clients, uint64_t seed) {
  UMBEL_RETURN_IF_ERROR(check_examples(examples));
  UMBEL_RETURN_IF_ERROR(check_clients_share(clients, examples));
  Rng rng(derive_seed(seed, "iid partition"));
  return shared_out(shuffled(examples, rng), equal_starts(examples, clients));
}

Result<Partition> dirichlet(const Array& labels, const DirichletOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(LabelPools pools, LabelPools::make(labels));
  const size_t n = pools.examples();
  UMBEL_RETURN_IF_ERROR(check_clients_share(options.clients, n));
  UMBEL_RETURN_IF_ERROR(check_alpha(options.alpha));
  if (n / options.clients < options.examples_min) {
    return invalid_argument(
        "partition: examples-min is {}, but {} examples give each of {} clients {} or one more",
        options.examples_min, n, options.clients, n / options.clients);
  }
  Rng rng(derive_seed(options.seed, "dirichlet partition"));
  std::vector<uint32_t> starts = equal_starts(n, options.clients);
  std::vector<uint32_t> order =
      taken_by_mix(std::move(pools), starts, options.alpha, options.seed, rng);
  return shared_out(std::move(order), std::move(starts));
}

Result<Partition> shards(const Array& labels, const ShardOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(LabelPools pools, LabelPools::make(labels));
  const size_t n = pools.examples();
  UMBEL_RETURN_IF_ERROR(check_clients_share(options.clients, n));
  UMBEL_RETURN_IF_ERROR(check_shards_per_client(options.shards_per_client, n / options.clients));
  Rng rng(derive_seed(options.seed, "shard partition"));
  for (size_t i = 0; i != pools.pools(); ++i) rng.shuffle(pools.pool(i));
  const uint64_t count = options.clients * options.shards_per_client;
  const std::vector<uint32_t> deal = shuffled(count, rng);
  std::vector<uint32_t> order;
  std::vector<uint32_t> starts{0};
  order.reserve(n);
  for (uint64_t i = 0; i != count; ++i) {
    const uint64_t first = start_of(n, count, deal[i]);
    const uint64_t last = start_of(n, count, uint64_t{deal[i]} + 1);
    order.insert(order.end(), pools.sorted().begin() + static_cast<std::ptrdiff_t>(first),
                 pools.sorted().begin() + static_cast<std::ptrdiff_t>(last));
    if ((i + 1) % options.shards_per_client != 0) continue;
    rng.shuffle(std::span(order).subspan(starts.back()));
    starts.push_back(static_cast<uint32_t>(order.size()));
  }
  return shared_out(std::move(order), std::move(starts));
}

}  // namespace umbel::data
