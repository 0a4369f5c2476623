#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "umbel/data/dataset.h"
#include "umbel/data/feature_shift.h"
#include "umbel/data/partition.h"
#include "umbel/record/record.h"

namespace umbel::data {

inline constexpr uint64_t kSkewClientsAll = 10'000;   // up to here every client is looked at
inline constexpr uint64_t kSkewClientsSample = 1000;  // beyond, so many, drawn by a seed
inline constexpr size_t kSkewClientsShown = 20;
inline constexpr size_t kSkewBinsMax = 20;

// How unequal the clients of a simulation are: in numbers of examples, in labels and, where these
// are known, in features and in time. K is the number of classes: the largest label and one.
struct Skew {
  uint64_t clients = 0;
  uint64_t sampled = 0;  // clients that the figures below are about

  // Examples per client.
  int64_t size_min = 0;
  double size_median = 0;
  int64_t size_max = 0;
  double size_mean = 0;
  double size_gini = 0;  // Gini's coefficient: 0 all equal, near 1 one client has everything
  // Bin i counts sizes from edge i up to, without, edge i + 1.
  std::vector<int64_t> size_histogram_edges;
  std::vector<int64_t> size_histogram_counts;

  // Labels.
  std::vector<double> label_share;  // K: of the whole data set
  double label_tv_mean = 0;         // mean total-variation distance, client to data set: 0 to 1
  double labels_per_client_mean = 0;
  double label_entropy_mean = 0;  // in nats: 0 one label, ln K all alike

  // kSkewClientsShown of them, from the first to the last, for a picture: K shares for each.
  std::vector<int64_t> example_client_ids;
  std::vector<double> example_client_labels;
  std::vector<int64_t> example_client_sizes;

  // The share of a feature's variance that lies between clients, beyond what chance puts there:
  // about 0 if they do not differ, 1 if each has a value of its own (skew_features.h has the
  // formula).  Nothing where it was not asked for or no client has two examples.
  std::optional<double> feature_skew;  // mean over the features
  double feature_skew_max = 0;
  int64_t feature_skew_max_column = 0;
  std::optional<double> time_skew;  // the same of the examples' ranks in time
};

// INVALID_ARGUMENT unless `labels` is what the partition was made of.
Result<Skew> measure_skew(const Partition& partition, const Array& labels, uint64_t seed);

// What is known of the examples besides their labels.
struct SkewSources {
  Array labels;    // int32 [n]
  Array features;  // uint8, int32 or float32 [n, ...]; empty: not measured
  Array times;     // [n], as of temporal(); empty: not measured
  const FeatureShift* shift =
      nullptr;  // what clients make of the features: its noise by its variance
};
// INVALID_ARGUMENT also where features or times are not of as many examples as the labels, or the
// shift of fewer clients than the partition.
Result<Skew> measure_skew(const Partition& partition, const SkewSources& sources, uint64_t seed);
// With the data set's features.
Result<Skew> measure_skew(const Partition& partition, const Dataset& dataset, uint64_t seed);

// Under "clients", "sampled-clients", "size-min", "size-median", "size-max", "size-mean",
// "size-gini", "label-tv-mean", "labels-per-client-mean", "label-entropy-mean", "label-share",
// "size-histogram-edges", "size-histogram-counts", "example-client-ids", "example-client-labels",
// "example-client-sizes"; and "feature-skew", "feature-skew-max", "feature-skew-max-column",
// "time-skew" where they were measured.
MetricRecord to_metrics(const Skew& skew);

}  // namespace umbel::data
