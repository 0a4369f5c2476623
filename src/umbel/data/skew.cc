#include "umbel/data/skew.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "umbel/base/rng.h"
#include "umbel/data/label_pools.h"
#include "umbel/data/partition_axis.h"
#include "umbel/data/skew_features.h"

namespace umbel::data {

namespace {

std::vector<uint64_t> sampled_clients(uint64_t clients, uint64_t seed) {
  std::vector<uint64_t> ids;
  if (clients <= kSkewClientsAll) {
    ids.resize(clients);
    std::iota(ids.begin(), ids.end(), uint64_t{0});
    return ids;
  }
  Rng rng(derive_seed(seed, "skew"));
  std::set<uint64_t> chosen;
  while (chosen.size() != kSkewClientsSample) chosen.insert(rng.below(clients));
  ids.assign(chosen.begin(), chosen.end());
  return ids;
}

// Of sizes in ascending order: sum over i of (2i - n - 1) x_i, divided by n times their sum.
double gini(const std::vector<int64_t>& sizes) {
  const auto n = static_cast<double>(sizes.size());
  double sum = 0;
  double weighted = 0;
  for (size_t i = 0; i != sizes.size(); ++i) {
    const auto size = static_cast<double>(sizes[i]);
    sum += size;
    weighted += (2 * static_cast<double>(i + 1) - n - 1) * size;
  }
  return sum > 0 ? weighted / (n * sum) : 0;
}

void describe_sizes(std::vector<int64_t> sizes, Skew& skew) {
  std::sort(sizes.begin(), sizes.end());
  const size_t n = sizes.size();
  skew.size_min = sizes.front();
  skew.size_max = sizes.back();
  skew.size_median = static_cast<double>(sizes[(n - 1) / 2] + sizes[n / 2]) / 2;
  skew.size_mean = static_cast<double>(std::reduce(sizes.begin(), sizes.end(), int64_t{0})) /
                   static_cast<double>(n);
  skew.size_gini = gini(sizes);

  const int64_t range = skew.size_max - skew.size_min + 1;
  const int64_t width = (range + int64_t{kSkewBinsMax} - 1) / int64_t{kSkewBinsMax};
  const int64_t bins = (range + width - 1) / width;
  for (int64_t i = 0; i <= bins; ++i) {
    skew.size_histogram_edges.push_back(skew.size_min + i * width);
  }
  skew.size_histogram_counts.resize(static_cast<size_t>(bins));
  for (const int64_t size : sizes) {
    ++skew.size_histogram_counts[static_cast<size_t>((size - skew.size_min) / width)];
  }
}

std::vector<double> shares_of(const std::vector<int64_t>& counts, int64_t total) {
  std::vector<double> shares(counts.size());
  for (size_t i = 0; i != counts.size(); ++i) {
    shares[i] = total ? static_cast<double>(counts[i]) / static_cast<double>(total) : 0;
  }
  return shares;
}

// Adds one client's labels to the sums that become means.
void add_client(const std::vector<double>& shares, Skew& skew) {
  double distance = 0;
  for (size_t i = 0; i != shares.size(); ++i) {
    distance += std::fabs(shares[i] - skew.label_share[i]);
    if (shares[i] > 0) {
      skew.labels_per_client_mean += 1;
      skew.label_entropy_mean -= shares[i] * std::log(shares[i]);
    }
  }
  skew.label_tv_mean += distance / 2;
}

// Clients one after the other, looked at in every way that is asked for.
class Survey {
 public:
  Survey(const Array& labels, size_t classes, size_t clients)
      : labels_(labels.view<int32_t>()), counts_(classes, 0), clients_(clients) {}

  Status add(uint64_t client, std::span<const uint32_t> examples, Skew& skew) {
    std::ranges::fill(counts_, 0);
    for (const uint32_t example : examples) {
      if (example >= labels_.size()) {
        return invalid_argument("client {} holds example {}, there are labels for {}", client,
                                example, labels_.size());
      }
      ++counts_[static_cast<size_t>(labels_[example])];
    }
    sizes_.push_back(static_cast<int64_t>(examples.size()));
    const std::vector<double> shares = shares_of(counts_, sizes_.back());
    add_client(shares, skew);
    if (shown(sizes_.size() - 1)) {
      skew.example_client_ids.push_back(static_cast<int64_t>(client));
      skew.example_client_sizes.push_back(sizes_.back());
      skew.example_client_labels.insert(skew.example_client_labels.end(), shares.begin(),
                                        shares.end());
    }
    return absl::OkStatus();
  }

  void finish(Skew& skew) {
    const auto sampled = static_cast<double>(sizes_.size());
    skew.label_tv_mean /= sampled;
    skew.labels_per_client_mean /= sampled;
    skew.label_entropy_mean /= sampled;
    describe_sizes(std::move(sizes_), skew);
  }

 private:
  // kSkewClientsShown of all clients, evenly spread from the first to the last.
  bool shown(size_t index) const {
    constexpr size_t kLast = kSkewClientsShown - 1;
    if (clients_ <= kSkewClientsShown) return true;
    const size_t turn = (index * kLast + clients_ - 2) / (clients_ - 1);
    return turn * (clients_ - 1) / kLast == index;
  }

  std::span<const int32_t> labels_;
  std::vector<int64_t> counts_;
  size_t clients_;
  std::vector<int64_t> sizes_;
};

Status check_sources(const Partition& partition, const SkewSources& sources) {
  UMBEL_RETURN_IF_ERROR(LabelPools::make(sources.labels).status());
  const int64_t n = sources.labels.size();
  const Array& features = sources.features;
  if (features.size() > 0) {
    const DType dtype = features.dtype();
    const bool known = dtype == DType::kUint8 || dtype == DType::kInt32 || dtype == DType::kFloat32;
    if (!known || features.shape().empty() || features.shape()[0] != n) {
      return invalid_argument("features are {}, expected uint8, int32 or float32 of {} examples",
                              features.describe(), n);
    }
  }
  if (sources.times.size() > 0) {
    UMBEL_RETURN_IF_ERROR(check_axis(sources.times));
    if (sources.times.size() != n) {
      return invalid_argument("times are {}, expected one for each of {} examples",
                              sources.times.describe(), n);
    }
  }
  if (sources.shift != nullptr && sources.shift->clients() < partition.clients()) {
    return invalid_argument("the feature shift is of {} clients, the partition has {}",
                            sources.shift->clients(), partition.clients());
  }
  return absl::OkStatus();
}

// float64 [n, 1]: each example's place in the order of time; empty without times.
Array time_ranks(const Array& times, uint64_t seed) {
  if (times.size() == 0) return times;
  Rng rng(derive_seed(seed, "skew in time"));
  const std::vector<uint32_t> order = axis_order(times, rng);
  Array ranks = Array::uninitialized(DType::kFloat64, {times.size(), 1});
  const auto out = ranks.mutable_view<double>();
  for (size_t i = 0; i != order.size(); ++i) out[order[i]] = static_cast<double>(i);
  return ranks;
}

}  // namespace

Result<Skew> measure_skew(const Partition& partition, const Array& labels, uint64_t seed) {
  return measure_skew(partition, SkewSources{.labels = labels}, seed);
}

Result<Skew> measure_skew(const Partition& partition, const Dataset& dataset, uint64_t seed) {
  return measure_skew(partition,
                      SkewSources{.labels = dataset.labels, .features = dataset.features}, seed);
}

Result<Skew> measure_skew(const Partition& partition, const SkewSources& sources, uint64_t seed) {
  UMBEL_RETURN_IF_ERROR(check_sources(partition, sources));
  const auto values = sources.labels.view<int32_t>();
  const auto classes = static_cast<size_t>(*std::ranges::max_element(values)) + 1;
  std::vector<int64_t> counts(classes, 0);
  for (const int32_t label : values) ++counts[static_cast<size_t>(label)];

  Skew skew;
  skew.clients = partition.clients();
  skew.label_share = shares_of(counts, sources.labels.size());
  const std::vector<uint64_t> ids = sampled_clients(skew.clients, seed);
  skew.sampled = ids.size();
  Survey survey(sources.labels, classes, ids.size());
  FeatureSkew features(sources.features, sources.shift);
  const Array ranks = time_ranks(sources.times, seed);
  FeatureSkew time(ranks);
  std::vector<uint32_t> examples;
  for (const uint64_t id : ids) {
    partition.examples(id, examples);
    UMBEL_RETURN_IF_ERROR(survey.add(id, examples, skew));
    features.add(id, examples);
    time.add(id, examples);
  }
  survey.finish(skew);
  if (const auto found = features.result()) {
    skew.feature_skew = found->mean;
    skew.feature_skew_max = found->most;
    skew.feature_skew_max_column = found->column;
  }
  if (const auto found = time.result()) skew.time_skew = found->mean;
  return skew;
}

MetricRecord to_metrics(const Skew& skew) {
  MetricRecord metrics;
  metrics.reserve(20);
  metrics.set("clients", skew.clients);
  metrics.set("sampled-clients", skew.sampled);
  metrics.set("size-min", skew.size_min);
  metrics.set("size-median", skew.size_median);
  metrics.set("size-max", skew.size_max);
  metrics.set("size-mean", skew.size_mean);
  metrics.set("size-gini", skew.size_gini);
  metrics.set("label-tv-mean", skew.label_tv_mean);
  metrics.set("labels-per-client-mean", skew.labels_per_client_mean);
  metrics.set("label-entropy-mean", skew.label_entropy_mean);
  metrics.set("label-share", skew.label_share);
  metrics.set("size-histogram-edges", skew.size_histogram_edges);
  metrics.set("size-histogram-counts", skew.size_histogram_counts);
  metrics.set("example-client-ids", skew.example_client_ids);
  metrics.set("example-client-labels", skew.example_client_labels);
  metrics.set("example-client-sizes", skew.example_client_sizes);
  if (skew.feature_skew) {
    metrics.set("feature-skew", *skew.feature_skew);
    metrics.set("feature-skew-max", skew.feature_skew_max);
    metrics.set("feature-skew-max-column", skew.feature_skew_max_column);
  }
  if (skew.time_skew) metrics.set("time-skew", *skew.time_skew);
  return metrics;
}

}  // namespace umbel::data
