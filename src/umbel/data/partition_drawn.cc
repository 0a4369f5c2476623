// Partitions that are drawn, a client at a time, from the client's own seed.

#include <span>
#include <utility>

#include "umbel/base/rng.h"
#include "umbel/data/distinct.h"
#include "umbel/data/label_mix.h"
#include "umbel/data/label_pools.h"
#include "umbel/data/partition.h"
#include "umbel/data/partition_draw.h"
#include "umbel/data/partition_options.h"

namespace umbel::data {

namespace {

class DrawnIid final : public PartitionScheme {
 public:
  DrawnIid(uint64_t examples, const DrawnOptions& options)
      : examples_(examples), options_(options) {}
  uint64_t clients() const override { return options_.clients; }
  bool disjoint() const override { return false; }
  void examples(uint64_t client, std::vector<uint32_t>& out) const override {
    Rng rng = client_rng(options_.seed, client);
    out.clear();
    append_distinct(rng, examples_, options_.examples_per_client, out);
    rng.shuffle(std::span(out));
  }

 private:
  uint64_t examples_;
  DrawnOptions options_;
};

class DrawnDirichlet final : public PartitionScheme {
 public:
  DrawnDirichlet(LabelPools pools, const DrawnOptions& options)
      : pools_(std::move(pools)), options_(options) {}
  uint64_t clients() const override { return options_.clients; }
  bool disjoint() const override { return false; }
  void examples(uint64_t client, std::vector<uint32_t>& out) const override {
    const Shares mix = label_mix(options_.seed, client, options_.alpha, pools_.pools());
    Rng rng = client_rng(options_.seed, client);
    draw_by_mix(pools_, mix, options_.examples_per_client, rng, out);
  }

 private:
  LabelPools pools_;
  DrawnOptions options_;
};

class DrawnShards final : public PartitionScheme {
 public:
  DrawnShards(LabelPools pools, const DrawnShardOptions& options)
      : pools_(std::move(pools)), options_(options) {}
  uint64_t clients() const override { return options_.clients; }
  bool disjoint() const override { return false; }
  void examples(uint64_t client, std::vector<uint32_t>& out) const override {
    Rng rng = client_rng(options_.seed, client);
    std::vector<uint32_t> chosen;
    append_distinct(rng, places(), options_.shards_per_client, chosen);
    rng.shuffle(std::span(chosen));  // so that which shards are the longer ones is random too
    out.clear();
    for (size_t i = 0; i != chosen.size(); ++i) {
      const auto shard = pools_.sorted().subspan(chosen[i] * shard_max(), shard_size(i));
      out.insert(out.end(), shard.begin(), shard.end());
    }
    rng.shuffle(std::span(out));
  }

 private:
  uint64_t shard_size(uint64_t index) const {
    const uint64_t each = options_.examples_per_client;
    const uint64_t shards = options_.shards_per_client;
    return each / shards + (index < each % shards ? 1 : 0);
  }
  uint64_t shard_max() const { return shard_size(0); }
  uint64_t places() const { return pools_.examples() / shard_max(); }

  LabelPools pools_;
  DrawnShardOptions options_;
};

}  // namespace

Result<Partition> drawn_iid(uint64_t examples, const DrawnOptions& options) {
  UMBEL_RETURN_IF_ERROR(check_examples(examples));
  UMBEL_RETURN_IF_ERROR(check_clients(options.clients));
  UMBEL_RETURN_IF_ERROR(check_examples_per_client(options.examples_per_client, examples));
  return Partition(std::make_shared<const DrawnIid>(examples, options));
}

Result<Partition> drawn(const Array& labels, const DrawnOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(LabelPools pools, LabelPools::make(labels));
  UMBEL_RETURN_IF_ERROR(check_clients(options.clients));
  UMBEL_RETURN_IF_ERROR(check_alpha(options.alpha));
  UMBEL_RETURN_IF_ERROR(check_examples_per_client(options.examples_per_client, pools.examples()));
  return Partition(std::make_shared<const DrawnDirichlet>(std::move(pools), options));
}

Result<Partition> drawn_shards(const Array& labels, const DrawnShardOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(LabelPools pools, LabelPools::make(labels));
  const uint64_t n = pools.examples();
  const uint64_t each = options.examples_per_client;
  UMBEL_RETURN_IF_ERROR(check_clients(options.clients));
  UMBEL_RETURN_IF_ERROR(check_examples_per_client(each, n));
  UMBEL_RETURN_IF_ERROR(check_shards_per_client(options.shards_per_client, each));
  const uint64_t shard_max = (each + options.shards_per_client - 1) / options.shards_per_client;
  UMBEL_RETURN_IF_ERROR(check_shards_per_client(options.shards_per_client, n / shard_max));
  return Partition(std::make_shared<const DrawnShards>(std::move(pools), options));
}

}  // namespace umbel::data
