#include "umbel/data/partition_parts.h"

#include <numeric>
#include <utility>

#include "umbel/data/partition_draw.h"

namespace umbel::data {

namespace {

class SharedOut final : public PartitionScheme {
 public:
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

}  // namespace

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

Partition shared_out(std::vector<uint32_t> order, std::vector<uint32_t> starts) {
  return Partition(std::make_shared<const SharedOut>(std::move(order), std::move(starts)));
}

Result<Partition> shared_out(std::vector<uint32_t> order, std::vector<uint32_t> starts,
                             uint64_t examples_min) {
  for (size_t client = 0; client + 1 != starts.size(); ++client) {
    const uint64_t size = starts[client + 1] - starts[client];
    if (size >= examples_min) continue;
    return invalid_argument(
        "partition: client {} of {} would have {} examples, examples-min is {}: ask for fewer "
        "clients, or for a smaller examples-min (0 allows empty ones)",
        client, starts.size() - 1, size, examples_min);
  }
  return shared_out(std::move(order), std::move(starts));
}

Remainder::Remainder(LabelPools pools, Rng& rng)
    : pools_(std::move(pools)), taken_(pools_.pools(), 0) {
  for (size_t i = 0; i != pools_.pools(); ++i) rng.shuffle(pools_.pool(i));
}

void Remainder::take(Shares mix, Rng& rng, std::span<uint32_t> out) {
  if (out.empty()) return;
  WeightedDraw draw = without_empty(mix);
  for (uint32_t& example : out) {
    const size_t label = draw(rng);
    example = pools_.pool(label)[taken_[label]++];
    if (left(label) == 0 && &example != &out.back()) draw = without_empty(mix);
  }
}

WeightedDraw Remainder::without_empty(Shares& mix) const {
  double sum = 0;
  for (size_t i = 0; i != mix.size(); ++i) sum += left(i) == 0 ? mix[i] = 0 : mix[i];
  if (!(sum > 0)) {
    for (size_t i = 0; i != mix.size(); ++i) mix[i] = static_cast<double>(left(i));
  }
  return WeightedDraw({mix.data(), mix.size()});
}

std::vector<uint32_t> taken_by_mix(LabelPools pools, const std::vector<uint32_t>& starts,
                                   double alpha, uint64_t seed, Rng& rng) {
  const size_t labels = pools.pools();
  std::vector<uint32_t> order(starts.back());
  const std::vector<uint32_t> turns = shuffled(starts.size() - 1, rng);
  Remainder remainder(std::move(pools), rng);
  for (const uint32_t client : turns) {
    const std::span mine(order.data() + starts[client], starts[client + 1] - starts[client]);
    remainder.take(label_mix(seed, client, alpha, labels), rng, mine);
    order_rng(seed, client).shuffle(mine);  // labels ran out on the way, so that the last are few
  }
  return order;
}

}  // namespace umbel::data
