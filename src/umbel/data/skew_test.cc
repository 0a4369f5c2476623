#include "umbel/data/skew.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "umbel/base/rng.h"

namespace umbel::data {
namespace {

using testing::ElementsAre;

class Listed final : public PartitionScheme {
 public:
  explicit Listed(std::vector<std::vector<uint32_t>> clients) : clients_(std::move(clients)) {}
  uint64_t clients() const override { return clients_.size(); }
  bool disjoint() const override { return true; }
  void examples(uint64_t client, std::vector<uint32_t>& out) const override {
    out = clients_[client];
  }

 private:
  std::vector<std::vector<uint32_t>> clients_;
};

Array balanced(int64_t n, int32_t k) {
  Array labels = Array::uninitialized(DType::kInt32, {n});
  const auto out = labels.mutable_view<int32_t>();
  for (size_t i = 0; i != out.size(); ++i) out[i] = static_cast<int32_t>(i) % k;
  return labels;
}

TEST(Skew, AgreesWithFiguresByHand) {
  const Array labels = Array::of<int32_t>({0, 0, 0, 1, 1, 2});
  const Partition partition(
      std::make_shared<Listed>(std::vector<std::vector<uint32_t>>{{0}, {1, 3}, {2, 4, 5}}));
  const Skew skew = or_throw(measure_skew(partition, labels, 0));
  EXPECT_EQ(skew.clients, 3u);
  EXPECT_EQ(skew.sampled, 3u);
  EXPECT_EQ(skew.size_min, 1);
  EXPECT_EQ(skew.size_median, 2);
  EXPECT_EQ(skew.size_max, 3);
  EXPECT_DOUBLE_EQ(skew.size_mean, 2);
  EXPECT_DOUBLE_EQ(skew.size_gini, 2.0 / 9);
  EXPECT_THAT(skew.label_share, ElementsAre(1.0 / 2, 1.0 / 3, 1.0 / 6));
  // Distances: (1/2 + 1/3 + 1/6) / 2, (0 + 1/6 + 1/6) / 2, (1/6 + 0 + 1/6) / 2.
  EXPECT_NEAR(skew.label_tv_mean, (1.0 / 2 + 1.0 / 6 + 1.0 / 6) / 3, 1e-15);
  EXPECT_DOUBLE_EQ(skew.labels_per_client_mean, 2);
  EXPECT_NEAR(skew.label_entropy_mean, (std::log(2.0) + std::log(3.0)) / 3, 1e-15);
  EXPECT_THAT(skew.size_histogram_edges, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(skew.size_histogram_counts, ElementsAre(1, 1, 1));
  EXPECT_THAT(skew.example_client_ids, ElementsAre(0, 1, 2));
  EXPECT_THAT(skew.example_client_labels,
              ElementsAre(1, 0, 0, 0.5, 0.5, 0, 1.0 / 3, 1.0 / 3, 1.0 / 3));
}

TEST(Skew, OneClientWithEverythingHasTheLargestGini) {
  const Array labels = balanced(100, 2);
  std::vector<std::vector<uint32_t>> clients(10);
  clients[4].resize(100);
  std::iota(clients[4].begin(), clients[4].end(), 0u);
  const Skew skew = or_throw(measure_skew(Partition(std::make_shared<Listed>(clients)), labels, 0));
  EXPECT_DOUBLE_EQ(skew.size_gini, 0.9);
  EXPECT_EQ(skew.size_median, 0);
}

TEST(Skew, HistogramCountsEveryClientInFewBins) {
  Rng rng(5);
  std::vector<std::vector<uint32_t>> clients(500);
  for (auto& client : clients) client.assign(rng.below(1234), 0);
  const Partition partition(std::make_shared<Listed>(clients));
  const Skew skew = or_throw(measure_skew(partition, balanced(10, 2), 0));
  EXPECT_LE(skew.size_histogram_counts.size(), kSkewBinsMax);
  ASSERT_EQ(skew.size_histogram_edges.size(), skew.size_histogram_counts.size() + 1);
  for (size_t i = 0; i != skew.size_histogram_counts.size(); ++i) {
    const auto inside = [&](const auto& client) {
      const auto size = static_cast<int64_t>(client.size());
      return size >= skew.size_histogram_edges[i] && size < skew.size_histogram_edges[i + 1];
    };
    EXPECT_EQ(skew.size_histogram_counts[i], std::count_if(clients.begin(), clients.end(), inside));
  }
  EXPECT_EQ(std::accumulate(skew.size_histogram_counts.begin(), skew.size_histogram_counts.end(),
                            int64_t{0}),
            500);
}

TEST(Skew, FallsAsAlphaRisesInBothForms) {
  const Array labels = balanced(20'000, 10);
  double shared_before = 1;
  double drawn_before = 1;
  double entropy_before = 0;
  for (double alpha : {0.01, 0.1, 0.3, 1.0, 10.0, 1000.0}) {
    const auto shared = or_throw(
        measure_skew(or_throw(dirichlet(labels, {.clients = 400, .alpha = alpha})), labels, 0));
    const auto drew = or_throw(measure_skew(
        or_throw(drawn(labels, {.clients = 400, .alpha = alpha, .examples_per_client = 50})),
        labels, 0));
    EXPECT_LT(shared.label_tv_mean, shared_before) << alpha;
    EXPECT_LT(drew.label_tv_mean, drawn_before) << alpha;
    EXPECT_GT(shared.label_entropy_mean, entropy_before) << alpha;
    EXPECT_NEAR(shared.label_tv_mean, drew.label_tv_mean, 0.05) << alpha;
    shared_before = shared.label_tv_mean;
    drawn_before = drew.label_tv_mean;
    entropy_before = shared.label_entropy_mean;
  }
}

// With alpha near 0 a client has one label: its distance to K equal labels is 1 - 1/K.
TEST(Skew, OfOneLabelPerClientHasItsClosedForm) {
  const Array labels = balanced(1000, 10);
  const auto partition = or_throw(drawn(labels, {.clients = 300, .alpha = 1e-300}));
  const Skew skew = or_throw(measure_skew(partition, labels, 0));
  EXPECT_DOUBLE_EQ(skew.labels_per_client_mean, 1);
  EXPECT_NEAR(skew.label_tv_mean, 0.9, 1e-12);
  EXPECT_EQ(skew.label_entropy_mean, 0);
}

TEST(Skew, OfALargePopulationIsASeededSample) {
  const Array labels = balanced(1000, 10);
  const auto partition = or_throw(drawn(labels, {.clients = 100'000'000}));
  const Skew skew = or_throw(measure_skew(partition, labels, 1));
  EXPECT_EQ(skew.clients, 100'000'000u);
  EXPECT_EQ(skew.sampled, kSkewClientsSample);
  EXPECT_EQ(skew.example_client_ids.size(), kSkewClientsShown);
  EXPECT_EQ(skew.example_client_labels.size(), kSkewClientsShown * 10);
  EXPECT_EQ(to_metrics(skew), to_metrics(or_throw(measure_skew(partition, labels, 1))));
  EXPECT_NE(to_metrics(skew), to_metrics(or_throw(measure_skew(partition, labels, 2))));
}

TEST(Skew, OfAnotherDataSetsLabelsIsAnError) {
  const auto partition = or_throw(iid(100, 10, 0));
  EXPECT_TRUE(absl::IsInvalidArgument(measure_skew(partition, balanced(99, 3), 0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(measure_skew(partition, Array::of<float>({1}), 0).status()));
}

TEST(Skew, MetricsHaveTheirStableNames) {
  const Array labels = balanced(100, 3);
  const auto metrics = to_metrics(or_throw(measure_skew(or_throw(iid(100, 10, 0)), labels, 0)));
  EXPECT_EQ(metrics.names(),
            "clients, sampled-clients, size-min, size-median, size-max, size-mean, size-gini, "
            "label-tv-mean, labels-per-client-mean, label-entropy-mean, label-share, "
            "size-histogram-edges, size-histogram-counts, example-client-ids, "
            "example-client-labels");
  EXPECT_EQ(metrics.integer("clients"), 10);
  EXPECT_EQ(metrics.real("size-mean"), 10);
  EXPECT_EQ(metrics.reals("label-share").size(), 3u);
}

}  // namespace
}  // namespace umbel::data
