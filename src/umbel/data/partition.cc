#include "umbel/data/partition.h"

#include "umbel/base/text.h"

namespace umbel::data {

void Partition::examples(uint64_t client, std::vector<uint32_t>& out) const {
  if (client >= clients()) {
    throw Error(invalid_argument("client {} of a partition with {} clients: ids are 0 to {}",
                                 client, clients(), clients() - 1));
  }
  scheme_->examples(client, out);
}

std::vector<uint32_t> Partition::examples(uint64_t client) const {
  std::vector<uint32_t> out;
  examples(client, out);
  return out;
}

Result<Partition> make_partition(const Array& labels, const PartitionOptions& options) {
  static const std::vector<std::string> kKinds{"dirichlet", "iid", "shards"};
  const auto n = static_cast<uint64_t>(labels.size());
  const bool shared = options.clients <= n / kExamplesPerClientShared;
  const uint64_t each = options.examples_per_client;
  if (options.kind == "dirichlet") {
    if (shared) return dirichlet(labels, {options.clients, options.alpha, options.seed});
    return drawn(labels, {options.clients, options.alpha, each, options.seed});
  }
  if (options.kind == "iid") {
    if (shared) return iid(n, options.clients, options.seed);
    return drawn_iid(n, {options.clients, options.alpha, each, options.seed});
  }
  if (options.kind == "shards") {
    if (shared) return shards(labels, {options.clients, options.shards_per_client, options.seed});
    return drawn_shards(labels, {options.clients, options.shards_per_client, each, options.seed});
  }
  return invalid_argument("partition: kind is \"{}\", expected dirichlet, iid or shards{}",
                          escaped(options.kind), did_you_mean(options.kind, kKinds));
}

}  // namespace umbel::data
