// Every kind of partition gives a client's examples in random order, so that any part of them, such
// as the last fifth, is a fair sample of them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "umbel/base/statistics_test.h"
#include "umbel/data/partition.h"
#include "umbel/data/partition_samples_test.h"

namespace umbel::data {
namespace {

using testing_partition::balanced;
using testing_partition::sizes_of;
using testing_statistics::chi_square_limit;

constexpr int64_t kExamples = 3000;
constexpr size_t kLabels = 10;
const char* const kKinds[] = {"dirichlet",       "iid",        "shards",
                              "linear",          "square",     "exponential",
                              "inner-dirichlet", "natural-id", "grouped-natural-id",
                              "continuous",      "temporal"};

// The labels in ascending order: whatever the order of the examples shows, they show.
Array sorted_labels() {
  Array labels = Array::uninitialized(DType::kInt32, {kExamples});
  const auto out = labels.mutable_view<int32_t>();
  for (size_t i = 0; i != out.size(); ++i) out[i] = static_cast<int32_t>(i * kLabels / out.size());
  return labels;
}

Partition partition_of(const char* kind, uint64_t clients, uint64_t seed) {
  Array axis = Array::uninitialized(DType::kInt64, {kExamples});
  const auto places = axis.mutable_view<int64_t>();
  for (size_t i = 0; i != places.size(); ++i) places[i] = static_cast<int64_t>(i);
  return or_throw(make_partition(sorted_labels(),
                                 {.kind = kind,
                                  .clients = clients,
                                  .seed = seed,
                                  .examples_per_client = 200,
                                  .shards_per_client = 3,
                                  .strictness = 0.4,
                                  .windows = std::min<uint64_t>(clients, 5),
                                  .examples_min = 0,
                                  .natural_ids = balanced(kExamples, static_cast<int32_t>(clients)),
                                  .axis = axis}));
}

// Adds up, over the first `few` clients, how far the labels of a part of each client's examples are
// from the same share of all of its labels: nearly chi-square distributed, as labels dealt to two
// parts of fixed sizes are.
struct Evenness {
  double sum = 0;
  size_t freedom = 0;
  double equal_neighbours = 0;  // less those expected
  double neighbours_variance = 0;

  void add(const std::vector<size_t>& labels, size_t cut) {
    const auto n = static_cast<double>(labels.size());
    std::vector<double> all(kLabels, 0);
    std::vector<double> part(kLabels, 0);
    for (size_t i = 0; i != labels.size(); ++i) {
      ++all[labels[i]];
      if (i >= cut) ++part[labels[i]];
      if (i > 0 && labels[i] == labels[i - 1]) ++equal_neighbours;
    }
    const double share = (n - static_cast<double>(cut)) / n;
    double equal = 0;
    size_t present = 0;
    for (size_t label = 0; label != kLabels; ++label) {
      if (all[label] == 0) continue;
      ++present;
      equal += all[label] * (all[label] - 1) / (n * (n - 1));
      sum += std::pow(part[label] - all[label] * share, 2) / (all[label] * share * (1 - share));
    }
    freedom += present - 1;
    equal_neighbours -= (n - 1) * equal;
    neighbours_variance += (n - 1) * equal * (1 - equal);
  }
};

Evenness evenness_of(const Partition& partition, uint64_t few, double cut) {
  const Array labels = sorted_labels();
  Evenness out;
  for (uint64_t client = 0; client != std::min(few, partition.clients()); ++client) {
    const auto mine = partition.examples(client);
    if (mine.size() < 20) continue;
    std::vector<size_t> of_mine;
    for (const uint32_t example : mine) {
      of_mine.push_back(static_cast<size_t>(labels.view<int32_t>()[example]));
    }
    out.add(of_mine, static_cast<size_t>(cut * static_cast<double>(mine.size())));
  }
  return out;
}

void expect_random_order(const char* kind, uint64_t clients, uint64_t seed) {
  const Partition partition = partition_of(kind, clients, seed);
  for (const double cut : {0.5, 0.8}) {
    SCOPED_TRACE(testing::Message()
                 << kind << ", clients " << clients << ", seed " << seed << ", from " << cut);
    const Evenness found = evenness_of(partition, 40, cut);
    if (found.freedom > 0) {
      EXPECT_LT(found.sum, chi_square_limit(found.freedom));
    }
    EXPECT_LE(std::fabs(found.equal_neighbours), 6 * std::sqrt(found.neighbours_variance));
  }
}

TEST(PartitionOrder, AnyPartOfWhatOneClientHoldsHasItsLabelsInProportion) {
  for (const char* kind : kKinds) {
    const Partition partition = partition_of(kind, 1, 1);
    EXPECT_EQ(sizes_of(partition), std::vector<uint64_t>{kExamples}) << kind;
    for (uint64_t seed = 1; seed != 4; ++seed) expect_random_order(kind, 1, seed);
  }
}

TEST(PartitionOrder, SoHasAnyPartOfEachOfSeveralClients) {
  for (const char* kind : kKinds) {
    for (const uint64_t clients : {2, 5, 30}) expect_random_order(kind, clients, 7);
  }
}

TEST(PartitionOrder, SoHasAnyPartOfAClientThatIsDrawn) {
  for (const char* kind : kKinds) {
    const std::string name = kind;
    if (name == "exponential" || name.ends_with("natural-id")) continue;  // they are never drawn
    ASSERT_FALSE(partition_of(kind, 2000, 7).disjoint()) << kind;
    expect_random_order(kind, 2000, 7);
  }
}

}  // namespace
}  // namespace umbel::data
