// The classical partitions: every example belongs to exactly one client.

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "umbel/base/rng.h"
#include "umbel/data/label_mix.h"
#include "umbel/data/label_pools.h"
#include "umbel/data/partition.h"
#include "umbel/data/partition_options.h"

namespace umbel::data {

namespace {

// Where part `index` of `parts` nearly equal ones begins: the first n % parts have one more.
uint64_t start_of(uint64_t n, uint64_t parts, uint64_t index) {
  return n / parts * index + std::min(index, n % parts);
}

class SharedOut final : public PartitionScheme {
 public:
  // Client c holds order[starts[c]] up to order[starts[c + 1]].
  SharedOut(std::vector<uint32_t> order, std::vector<uint32_t> starts)
      : order_(std::move(order)), starts_(std::move(starts)) {}

  uint64_t clients() const override { return starts_.size() - 1; }
  bool disjoint() const override { return true; }
  void examples(uint64_t client, std::vector<uint32_t>& out) const override {
    out.assign(order_.begin() + starts_[client], order_.begin() + starts_[client + 1]);
  }

 private:
  std::vector<uint32_t> order_;
  std::vector<uint32_t> starts_;
};

std::vector<uint32_t> equal_starts(uint64_t n, uint64_t clients) {
  std::vector<uint32_t> starts(clients + 1);
  for (uint64_t i = 0; i <= clients; ++i)
    starts[i] = static_cast<uint32_t>(start_of(n, clients, i));
  return starts;
}

std::vector<uint32_t> shuffled(uint64_t n, Rng& rng) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), uint32_t{0});
  rng.shuffle(std::span(order));
  return order;
}

Result<Partition> shared_out(std::vector<uint32_t> order, std::vector<uint32_t> starts) {
  return Partition(std::make_shared<const SharedOut>(std::move(order), std::move(starts)));
}

// What is left of each label's shuffled pool while clients take from it.
class Remainder {
 public:
  Remainder(LabelPools pools, Rng& rng) : pools_(std::move(pools)), taken_(pools_.pools(), 0) {
    for (size_t i = 0; i != pools_.pools(); ++i) rng.shuffle(pools_.pool(i));
  }

  // Fills `out` by the mix, as the header's comment on dirichlet() says.
  void take(Shares mix, Rng& rng, std::span<uint32_t> out) {
    WeightedDraw draw = without_empty(mix);
    for (uint32_t& example : out) {
      const size_t label = draw(rng);
      example = pools_.pool(label)[taken_[label]++];
      if (left(label) == 0 && &example != &out.back()) draw = without_empty(mix);
    }
  }

 private:
  size_t left(size_t label) const { return pools_.size(label) - taken_[label]; }

  WeightedDraw without_empty(Shares& mix) const {
    double sum = 0;
    for (size_t i = 0; i != mix.size(); ++i) sum += left(i) == 0 ? mix[i] = 0 : mix[i];
    if (!(sum > 0)) {
      for (size_t i = 0; i != mix.size(); ++i) mix[i] = static_cast<double>(left(i));
    }
    return WeightedDraw({mix.data(), mix.size()});
  }

  LabelPools pools_;
  std::vector<size_t> taken_;
};

}  // namespace

Result<Partition> iid(uint64_t examples, uint64_t clients, uint64_t seed) {
  UMBEL_RETURN_IF_ERROR(check_examples(examples));
  UMBEL_RETURN_IF_ERROR(check_clients_share(clients, examples));
  Rng rng(derive_seed(seed, "iid partition"));
  return shared_out(shuffled(examples, rng), equal_starts(examples, clients));
}

Result<Partition> dirichlet(const Array& labels, const DirichletOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(LabelPools pools, LabelPools::make(labels));
  const size_t n = pools.examples();
  const size_t label_count = pools.pools();
  UMBEL_RETURN_IF_ERROR(check_clients_share(options.clients, n));
  UMBEL_RETURN_IF_ERROR(check_alpha(options.alpha));
  if (n / options.clients < options.examples_min) {
    return invalid_argument(
        "partition: examples-min is {}, but {} examples give each of {} clients {} or one more",
        options.examples_min, n, options.clients, n / options.clients);
  }
  Rng rng(derive_seed(options.seed, "dirichlet partition"));
  std::vector<uint32_t> order(n);
  std::vector<uint32_t> starts = equal_starts(n, options.clients);
  const std::vector<uint32_t> turns = shuffled(options.clients, rng);
  Remainder remainder(std::move(pools), rng);
  for (const uint32_t client : turns) {
    const std::span mine(order.data() + starts[client], starts[client + 1] - starts[client]);
    remainder.take(label_mix(options.seed, client, options.alpha, label_count), rng, mine);
  }
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
