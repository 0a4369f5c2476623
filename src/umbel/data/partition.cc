#include "umbel/data/partition.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/text.h"
#include "umbel/data/partition_options.h"

namespace umbel::data {

namespace {

struct Asked {
  const Array& labels;
  const PartitionOptions& options;
  bool shared;  // the clients are few enough to share the data out
  uint64_t n;
};

Result<Partition> make_dirichlet(const Asked& asked) {
  const PartitionOptions& o = asked.options;
  if (!asked.shared)
    return drawn(asked.labels, {o.clients, o.alpha, o.examples_per_client, o.seed});
  return dirichlet(asked.labels, {o.clients, o.alpha, o.seed, o.examples_min});
}

Result<Partition> make_iid(const Asked& asked) {
  const PartitionOptions& o = asked.options;
  if (!asked.shared) return drawn_iid(asked.n, {o.clients, o.alpha, o.examples_per_client, o.seed});
  UMBEL_RETURN_IF_ERROR(check_clients_share(o.clients, asked.n, o.examples_min));
  return iid(asked.n, o.clients, o.seed);
}

Result<Partition> make_shards(const Asked& asked) {
  const PartitionOptions& o = asked.options;
  if (asked.shared) {
    UMBEL_RETURN_IF_ERROR(check_clients_share(o.clients, asked.n, o.examples_min));
    return shards(asked.labels, {o.clients, o.shards_per_client, o.seed});
  }
  return drawn_shards(asked.labels,
                      {o.clients, o.shards_per_client, o.examples_per_client, o.seed});
}

template <SizeLaw law>
Result<Partition> make_sized(const Asked& asked) {
  const PartitionOptions& o = asked.options;
  if (asked.shared || law == SizeLaw::kExponential) {
    return sized(asked.n, {law, o.clients, o.seed, o.examples_min});
  }
  return drawn_sized(asked.n, {law, o.clients, o.examples_per_client, o.seed});
}

Result<Partition> make_inner_dirichlet(const Asked& asked) {
  const PartitionOptions& o = asked.options;
  if (asked.shared) {
    return inner_dirichlet(asked.labels,
                           {o.clients, o.alpha, o.size_sigma, o.seed, o.examples_min});
  }
  return drawn_inner(asked.labels,
                     {o.clients, o.alpha, o.size_sigma, o.examples_per_client, o.seed});
}

Status check_one_for_each(std::string_view what, const Array& values, const Array& labels) {
  if (values.size() == labels.size()) return absl::OkStatus();
  return invalid_argument("partition: {} are {}, expected one for each of {} examples", what,
                          values.describe(), labels.size());
}

Result<Partition> make_natural(const Asked& asked) {
  const PartitionOptions& o = asked.options;
  UMBEL_RETURN_IF_ERROR(check_one_for_each("natural ids", o.natural_ids, asked.labels));
  if (o.clients == 1) return grouped_natural_id(o.natural_ids, {1, o.seed, o.examples_min});
  UMBEL_ASSIGN_OR_RETURN(Partition partition, natural_id(o.natural_ids, {o.seed, o.examples_min}));
  if (partition.clients() == o.clients) return partition;
  return invalid_argument(
      "partition: clients is {}, but the data are of {} natural ids: ask for as many clients, "
      "for 1 that holds everything, or for kind \"grouped-natural-id\"",
      o.clients, partition.clients());
}

Result<Partition> make_grouped(const Asked& asked) {
  const PartitionOptions& o = asked.options;
  UMBEL_RETURN_IF_ERROR(check_one_for_each("natural ids", o.natural_ids, asked.labels));
  return grouped_natural_id(o.natural_ids, {o.clients, o.seed, o.examples_min});
}

Result<Partition> make_along(const Asked& asked, const Array& axis, uint64_t windows) {
  const PartitionOptions& o = asked.options;
  UMBEL_RETURN_IF_ERROR(check_one_for_each("values of the axis", axis, asked.labels));
  if (!asked.shared) {
    return drawn_along(axis, {o.clients, windows, o.examples_per_client, o.strictness, o.seed});
  }
  if (windows == 0) return continuous(axis, {o.clients, o.strictness, o.seed, o.examples_min});
  return temporal(axis, {o.clients, windows, o.strictness, o.seed, o.examples_min});
}

Result<Partition> make_continuous(const Asked& asked) {
  return make_along(asked, asked.options.axis, 0);
}

Result<Partition> make_temporal(const Asked& asked) {
  const PartitionOptions& o = asked.options;
  UMBEL_RETURN_IF_ERROR(check_clients(o.clients));
  UMBEL_RETURN_IF_ERROR(check_examples(asked.n));
  const uint64_t windows = o.windows ? *o.windows : std::min({kWindowsDefault, o.clients, asked.n});
  if (windows == 0) return invalid_argument("partition: windows is 0, expected at least 1");
  if (o.axis.size() > 0) return make_along(asked, o.axis, windows);
  Array order = Array::uninitialized(DType::kInt64, {asked.labels.size()});
  const auto places = order.mutable_view<int64_t>();
  for (size_t i = 0; i != places.size(); ++i) places[i] = static_cast<int64_t>(i);
  return make_along(asked, order, windows);
}

struct Kind {
  std::string_view name;
  Result<Partition> (*make)(const Asked&);
};
constexpr std::array kKinds{
    Kind{"dirichlet", make_dirichlet},
    Kind{"iid", make_iid},
    Kind{"shards", make_shards},
    Kind{"linear", make_sized<SizeLaw::kLinear>},
    Kind{"square", make_sized<SizeLaw::kSquare>},
    Kind{"exponential", make_sized<SizeLaw::kExponential>},
    Kind{"inner-dirichlet", make_inner_dirichlet},
    Kind{"natural-id", make_natural},
    Kind{"grouped-natural-id", make_grouped},
    Kind{"continuous", make_continuous},
    Kind{"temporal", make_temporal},
};

Status unknown_kind(const std::string& kind) {
  std::vector<std::string> names;
  std::string list;
  for (const Kind& known : kKinds) {
    names.emplace_back(known.name);
    list += fmt::format("{}{}", list.empty() ? "" : ", ", known.name);
  }
  return invalid_argument("partition: kind is \"{}\", expected one of {}{}", escaped(kind), list,
                          did_you_mean(kind, names));
}

}  // namespace

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
  const auto n = static_cast<uint64_t>(labels.size());
  const bool shared = options.clients <= n / kExamplesPerClientShared;
  const auto kind = std::ranges::find(kKinds, options.kind, &Kind::name);
  if (kind == kKinds.end()) return unknown_kind(options.kind);
  return kind->make({labels, options, shared, n});
}

Result<Partition> make_partition(const Dataset& dataset, PartitionOptions options) {
  if (options.natural_ids.size() == 0) options.natural_ids = dataset.natural_ids;
  return make_partition(dataset.labels, options);
}

}  // namespace umbel::data
