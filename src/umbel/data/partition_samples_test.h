#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "umbel/data/partition.h"

// What the tests of partitions share.
namespace umbel::data::testing_partition {

// n labels, 0 to k - 1 in turn.
inline Array balanced(int64_t n, int32_t k) {
  Array labels = Array::uninitialized(DType::kInt32, {n});
  const auto out = labels.mutable_view<int32_t>();
  for (size_t i = 0; i != out.size(); ++i) out[i] = static_cast<int32_t>(i) % k;
  return labels;
}

inline std::vector<uint64_t> sizes_of(const Partition& partition) {
  std::vector<uint64_t> sizes;
  for (uint64_t client = 0; client != partition.clients(); ++client) {
    sizes.push_back(partition.examples(client).size());
  }
  return sizes;
}

// True if each of n examples belongs to exactly one client.
inline bool covers_exactly(const Partition& partition, uint64_t n) {
  std::vector<int> owners(n, 0);
  for (uint64_t client = 0; client != partition.clients(); ++client) {
    for (const uint32_t example : partition.examples(client)) ++owners.at(example);
  }
  return partition.disjoint() && std::ranges::all_of(owners, [](int count) { return count == 1; });
}

// Kolmogorov and Smirnov's distance of a sample from the normal distribution, times the root of its
// size: above 2.7 with a probability below 1e-6.
inline double normal_distance(std::vector<double> sample, double mean, double deviation) {
  std::ranges::sort(sample);
  const auto n = static_cast<double>(sample.size());
  double most = 0;
  for (size_t i = 0; i != sample.size(); ++i) {
    const double below = std::erfc(-(sample[i] - mean) / (deviation * std::sqrt(2.0))) / 2;
    most = std::max({most, std::fabs(below - static_cast<double>(i) / n),
                     std::fabs(below - static_cast<double>(i + 1) / n)});
  }
  return most * std::sqrt(n);
}

}  // namespace umbel::data::testing_partition
