// Clients who differ in how many examples they have, and of which labels.

#include <algorithm>
#include <cmath>
#include <utility>

#include "umbel/data/partition_draw.h"
#include "umbel/data/partition_options.h"
#include "umbel/data/partition_parts.h"
#include "umbel/data/partition_sizes.h"

namespace umbel::data {

namespace {

std::vector<uint32_t> log_normal_starts(uint64_t n, const InnerDirichletOptions& options) {
  std::vector<double> before(options.clients + 1, 0.0);
  for (uint64_t i = 0; i != options.clients; ++i) {
    before[i + 1] = before[i] + std::exp(options.size_sigma * client_size_normal(options.seed, i));
  }
  std::vector<uint32_t> starts(options.clients + 1);
  for (uint64_t i = 0; i <= options.clients; ++i) {
    starts[i] = static_cast<uint32_t>(static_cast<double>(n) * (before[i] / before.back()));
  }
  return starts;
}

Result<std::vector<uint32_t>> given_starts(uint64_t n, const InnerDirichletOptions& options) {
  if (options.sizes.size() != options.clients) {
    return invalid_argument("partition: {} sizes for {} clients", options.sizes.size(),
                            options.clients);
  }
  std::vector<uint32_t> starts{0};
  for (const uint64_t size : options.sizes) {
    if (size > n - starts.back()) {
      return invalid_argument("partition: the sizes of clients 0 to {} are more than {} examples",
                              starts.size() - 1, n);
    }
    starts.push_back(starts.back() + static_cast<uint32_t>(size));
  }
  return starts;
}

class DrawnInner final : public PartitionScheme {
 public:
  DrawnInner(LabelPools pools, const DrawnInnerOptions& options)
      : pools_(std::move(pools)), options_(options) {}
  uint64_t clients() const override { return options_.clients; }
  bool disjoint() const override { return false; }
  void examples(uint64_t client, std::vector<uint32_t>& out) const override {
    const Shares mix = label_mix(options_.seed, client, options_.alpha, pools_.pools());
    Rng rng = client_rng(options_.seed, client);
    draw_by_mix(pools_, mix, size_of(client), rng, out);
  }

 private:
  uint64_t size_of(uint64_t client) const {
    const double sigma = options_.size_sigma;
    const double share =
        std::exp(sigma * client_size_normal(options_.seed, client) - sigma * sigma / 2);
    const double size = std::floor(share * static_cast<double>(options_.examples_per_client) + 0.5);
    return static_cast<uint64_t>(std::clamp(size, 1.0, static_cast<double>(pools_.examples())));
  }

  LabelPools pools_;
  DrawnInnerOptions options_;
};

}  // namespace

Result<Partition> inner_dirichlet(const Array& labels, const InnerDirichletOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(LabelPools pools, LabelPools::make(labels));
  const uint64_t n = pools.examples();
  UMBEL_RETURN_IF_ERROR(check_clients_share(options.clients, n, options.examples_min));
  UMBEL_RETURN_IF_ERROR(check_alpha(options.alpha));
  UMBEL_RETURN_IF_ERROR(check_size_sigma(options.size_sigma));
  std::vector<uint32_t> starts;
  if (options.sizes.empty()) {
    starts = log_normal_starts(n, options);
  } else {
    UMBEL_ASSIGN_OR_RETURN(starts, given_starts(n, options));
  }
  Rng rng(derive_seed(options.seed, "inner dirichlet partition"));
  std::vector<uint32_t> order =
      taken_by_mix(std::move(pools), starts, options.alpha, options.seed, rng);
  return shared_out(std::move(order), std::move(starts), options.examples_min);
}

Result<Partition> drawn_inner(const Array& labels, const DrawnInnerOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(LabelPools pools, LabelPools::make(labels));
  UMBEL_RETURN_IF_ERROR(check_clients(options.clients));
  UMBEL_RETURN_IF_ERROR(check_alpha(options.alpha));
  UMBEL_RETURN_IF_ERROR(check_size_sigma(options.size_sigma));
  UMBEL_RETURN_IF_ERROR(check_examples_per_client(options.examples_per_client, pools.examples()));
  return Partition(std::make_shared<const DrawnInner>(std::move(pools), options));
}

}  // namespace umbel::data
