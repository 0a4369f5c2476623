// Clients who are those that the data came from.

#include "umbel/data/partition_natural.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "umbel/data/partition_options.h"
#include "umbel/data/partition_parts.h"

namespace umbel::data {

namespace {

// The examples sorted by id; the examples of the ids' i-th are order[starts[i]] to starts[i + 1].
struct ById {
  std::vector<uint32_t> order;
  std::vector<uint32_t> starts;
  size_t ids() const { return starts.size() - 1; }
};

Result<ById> sorted_by_id(const Array& ids) {
  if (ids.dtype() != DType::kInt32 || ids.shape().size() != 1) {
    return invalid_argument("natural ids are {}, expected int32[n]", ids.describe());
  }
  if (ids.size() == 0) {
    return invalid_argument("natural ids are {}: the data set has none", ids.describe());
  }
  UMBEL_RETURN_IF_ERROR(check_examples(static_cast<uint64_t>(ids.size())));
  const auto values = ids.view<int32_t>();
  ById out;
  out.order.resize(values.size());
  std::iota(out.order.begin(), out.order.end(), uint32_t{0});
  std::ranges::stable_sort(out.order, {}, [&](uint32_t example) { return values[example]; });
  for (size_t i = 0; i != out.order.size(); ++i) {
    if (i == 0 || values[out.order[i]] != values[out.order[i - 1]]) {
      out.starts.push_back(static_cast<uint32_t>(i));
    }
  }
  out.starts.push_back(static_cast<uint32_t>(values.size()));
  return out;
}

}  // namespace

Result<Partition> natural_id(const Array& ids, const NaturalOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(ById sorted, sorted_by_id(ids));
  Rng rng(derive_seed(options.seed, "natural partition"));
  for (size_t i = 0; i != sorted.ids(); ++i) {
    const std::span mine =
        std::span(sorted.order).subspan(sorted.starts[i], sorted.starts[i + 1] - sorted.starts[i]);
    if (mine.size() < options.examples_min) {
      return invalid_argument("partition: natural id {} has {} examples, examples-min is {}",
                              ids.view<int32_t>()[mine[0]], mine.size(), options.examples_min);
    }
    rng.shuffle(mine);
  }
  return shared_out(std::move(sorted.order), std::move(sorted.starts));
}

Result<Partition> grouped_natural_id(const Array& ids, const GroupedNaturalOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(const ById sorted, sorted_by_id(ids));
  UMBEL_RETURN_IF_ERROR(
      check_clients_share(options.clients, sorted.order.size(), options.examples_min));
  if (options.clients > sorted.ids() && options.examples_min > 0) {
    return invalid_argument("partition: clients is {}, but there are {} natural ids",
                            options.clients, sorted.ids());
  }
  Rng rng(derive_seed(options.seed, "grouped natural partition"));
  const std::vector<uint32_t> deal = shuffled(sorted.ids(), rng);
  std::vector<uint32_t> order;
  std::vector<uint32_t> starts{0};
  order.reserve(sorted.order.size());
  for (uint64_t client = 0; client != options.clients; ++client) {
    const uint64_t last = start_of(sorted.ids(), options.clients, client + 1);
    for (uint64_t i = start_of(sorted.ids(), options.clients, client); i != last; ++i) {
      order.insert(order.end(), sorted.order.begin() + sorted.starts[deal[i]],
                   sorted.order.begin() + sorted.starts[deal[i] + 1]);
    }
    rng.shuffle(std::span(order).subspan(starts.back()));
    starts.push_back(static_cast<uint32_t>(order.size()));
  }
  return shared_out(std::move(order), std::move(starts), options.examples_min);
}

}  // namespace umbel::data
