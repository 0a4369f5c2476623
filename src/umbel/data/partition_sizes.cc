// Clients who differ in how many examples they have.

#include "umbel/data/partition_sizes.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "umbel/data/distinct.h"
#include "umbel/data/partition_draw.h"
#include "umbel/data/partition_options.h"
#include "umbel/data/partition_parts.h"

namespace umbel::data {

namespace {

using Wide = unsigned __int128;

// The sum of the first `count` weights: 1 + ... + count, or their squares.  Exact.
Wide weight_sum(SizeLaw law, uint64_t count) {
  const Wide k = count;
  return law == SizeLaw::kLinear ? k * (k + 1) / 2 : k * (k + 1) / 2 * (2 * k + 1) / 3;
}

// Client i's part begins where the weights before it end, to the example below.
std::vector<uint32_t> polynomial_starts(SizeLaw law, uint64_t n, uint64_t clients) {
  std::vector<uint32_t> starts(clients + 1);
  const Wide all = weight_sum(law, clients);
  for (uint64_t i = 0; i <= clients; ++i) {
    starts[i] = static_cast<uint32_t>(n * weight_sum(law, i) / all);
  }
  return starts;
}

// The same for shares that are powers of e: (q^(clients - i) - q^clients) / (1 - q^clients), q =
// 1/e.
std::vector<uint32_t> exponential_starts(uint64_t n, uint64_t clients) {
  constexpr double kE = 2.718281828459045;
  std::vector<double> powers(clients + 1, 1.0);
  for (uint64_t i = clients; i-- != 0;) powers[i] = powers[i + 1] / kE;
  std::vector<uint32_t> starts(clients + 1);
  const double all = 1 - powers[0];
  for (uint64_t i = 0; i <= clients; ++i) {
    starts[i] = static_cast<uint32_t>(static_cast<double>(n) * ((powers[i] - powers[0]) / all));
  }
  return starts;
}

class DrawnSized final : public PartitionScheme {
 public:
  DrawnSized(uint64_t examples, const DrawnSizedOptions& options)
      : examples_(examples), options_(options) {}
  uint64_t clients() const override { return options_.clients; }
  bool disjoint() const override { return false; }
  void examples(uint64_t client, std::vector<uint32_t>& out) const override {
    Rng rng = client_rng(options_.seed, client);
    out.clear();
    append_distinct(rng, examples_, size_of(client), out);
    rng.shuffle(std::span(out));
  }

 private:
  // The mean of 2 x / (K + 1), and of 6 x^2 / ((K + 1) (2 K + 1)), over x from 1 to K is 1.
  uint64_t size_of(uint64_t client) const {
    const auto k = static_cast<double>(options_.clients);
    const auto x = static_cast<double>(client + 1);
    const double share = options_.law == SizeLaw::kLinear ? 2 * (x / (k + 1))
                                                          : 6 * (x / (k + 1)) * (x / (2 * k + 1));
    const double size = std::floor(share * static_cast<double>(options_.examples_per_client) + 0.5);
    return static_cast<uint64_t>(std::clamp(size, 1.0, static_cast<double>(examples_)));
  }

  uint64_t examples_;
  DrawnSizedOptions options_;
};

}  // namespace

Result<Partition> sized(uint64_t examples, const SizedOptions& options) {
  UMBEL_RETURN_IF_ERROR(check_examples(examples));
  UMBEL_RETURN_IF_ERROR(check_clients_share(options.clients, examples, options.examples_min));
  Rng rng(derive_seed(options.seed, "sized partition"));
  std::vector<uint32_t> starts = options.law == SizeLaw::kExponential
                                     ? exponential_starts(examples, options.clients)
                                     : polynomial_starts(options.law, examples, options.clients);
  return shared_out(shuffled(examples, rng), std::move(starts), options.examples_min);
}

Result<Partition> drawn_sized(uint64_t examples, const DrawnSizedOptions& options) {
  constexpr uint64_t kClientsMax = uint64_t{1} << 53;
  UMBEL_RETURN_IF_ERROR(check_examples(examples));
  UMBEL_RETURN_IF_ERROR(check_clients(options.clients));
  if (options.clients > kClientsMax) {
    return invalid_argument("partition: clients is {}, expected 1 to {}", options.clients,
                            kClientsMax);
  }
  UMBEL_RETURN_IF_ERROR(check_examples_per_client(options.examples_per_client, examples));
  if (options.law == SizeLaw::kExponential) {
    return invalid_argument(
        "partition: exponential sizes cannot be drawn, the last few clients would have everything");
  }
  return Partition(std::make_shared<const DrawnSized>(examples, options));
}

}  // namespace umbel::data
