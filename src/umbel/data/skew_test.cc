#include "umbel/data/skew.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "umbel/base/rng.h"
#include "umbel/data/generate.h"
#include "umbel/data/skew_features.h"

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

TEST(Skew, ShowsClientsFromTheFirstToTheLast) {
  const Array labels = balanced(1000, 10);
  for (const uint64_t clients : {1, 7, 20, 21, 37, 100, 999}) {
    const auto partition = or_throw(iid(1000, clients, 0));
    const Skew skew = or_throw(measure_skew(partition, labels, 1));
    const auto& ids = skew.example_client_ids;
    ASSERT_EQ(ids.size(), std::min<uint64_t>(clients, kSkewClientsShown));
    EXPECT_EQ(ids.front(), 0);
    EXPECT_EQ(ids.back(), static_cast<int64_t>(clients) - 1);
    EXPECT_TRUE(std::ranges::is_sorted(ids));
  }
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
            "example-client-labels, example-client-sizes");
  EXPECT_EQ(metrics.integer("clients"), 10);
  EXPECT_EQ(metrics.real("size-mean"), 10);
  EXPECT_EQ(metrics.reals("label-share").size(), 3u);
}

// By hand: means 1 and 4, of all 2.5; W = 2 + 2, T = 4 + 9.
TEST(SkewOfFeatures, AgreesWithFiguresByHand) {
  const Partition partition(
      std::make_shared<Listed>(std::vector<std::vector<uint32_t>>{{0, 1}, {2, 3}}));
  const SkewSources sources{.labels = balanced(4, 2),
                            .features = Array::of<float>({0, 7, 2, 7, 3, 7, 5, 7}).reshaped({4, 2}),
                            .times = Array::of<int32_t>({10, 500, 501, 502})};
  const Skew skew = or_throw(measure_skew(partition, sources, 0));
  EXPECT_NEAR(skew.feature_skew.value(), 1 - (4.0 / 2) / (13.0 / 3), 1e-12);
  EXPECT_EQ(skew.feature_skew_max, skew.feature_skew);
  EXPECT_EQ(skew.feature_skew_max_column, 0);  // the other does not vary
  EXPECT_NEAR(skew.time_skew.value(), 1 - (1.0 / 2) / (5.0 / 3), 1e-12);
  EXPECT_THAT(skew.example_client_sizes, ElementsAre(2, 2));
}

// Means of variance s^2 between clients around noise of variance 1: s^2 / (1 + s^2) is between.
TEST(SkewOfFeatures, IsTheShareThatWasPutBetweenTheClients) {
  for (const double spread : {0.0, 0.5, 3.0}) {
    const auto data = or_throw(linear_regression(
        {.examples = 40'000, .features = 64, .clients = 400, .feature_spread = spread, .seed = 1}));
    const auto partition = or_throw(natural_id(data.natural_ids));
    const SkewSources sources{.labels = balanced(40'000, 2), .features = data.features};
    const Skew skew = or_throw(measure_skew(partition, sources, 0));
    // 400 means and 64 features: the standard error of s^2 is s^2 sqrt(2 / 25600).
    const double share = spread * spread / (1 + spread * spread);
    EXPECT_NEAR(skew.feature_skew.value(), share, 0.004) << spread;
  }
}

TEST(SkewOfFeatures, AShiftIsMeasuredAsTheClientsSeeIt) {
  const auto data = or_throw(blobs({.examples = 6000, .features = 3, .seed = 3}));
  const auto partition = or_throw(iid(6000, 20, 1));
  const auto shift = or_throw(FeatureShift::make(
      {.clients = 20, .noise = 0.4, .brightness = 0.8, .scale = 0.5, .seed = 5}));
  const Skew plain = or_throw(measure_skew(partition, data, 0));
  EXPECT_NEAR(plain.feature_skew.value(), 0, 0.01);
  const SkewSources asked{.labels = data.labels, .features = data.features, .shift = &shift};
  const Skew seen = or_throw(measure_skew(partition, asked, 0));
  // The same with the features as the clients see them, noise and all.
  Array views = data.features.clone();
  for (uint64_t client = 0; client != 20; ++client) {
    for (const uint32_t e : partition.examples(client)) {
      shift.apply(client, e, views.mutable_view<float>().subspan(size_t{3} * e, 3));
    }
  }
  const Skew drawn =
      or_throw(measure_skew(partition, SkewSources{.labels = data.labels, .features = views}, 0));
  EXPECT_GT(seen.feature_skew.value(), 0.2);
  EXPECT_NEAR(seen.feature_skew.value(), drawn.feature_skew.value(), 0.01);
  EXPECT_EQ(seen.label_tv_mean, plain.label_tv_mean);
}

TEST(SkewOfFeatures, FarFromZeroLosesNothing) {
  const auto near = or_throw(blobs({.examples = 1000, .clients = 10, .client_spread = 1}));
  std::vector<double> far_times, near_times;
  for (size_t i = 0; i != 1000; ++i) {
    near_times.push_back(near.features.view<float>()[2 * i]);
    far_times.push_back(near_times.back() + 1e12);
  }
  const auto skew_of = [&](const std::vector<double>& values) {
    const Array column = Array::copy_of<double>(values, {1000, 1});
    FeatureSkew skew(column);
    for (uint32_t client = 0; client != 10; ++client) {
      std::vector<uint32_t> mine;
      for (uint32_t e = client; e < 1000; e += 10) mine.push_back(e);
      skew.add(client, mine);
    }
    return skew.result().value().mean;
  };
  EXPECT_NEAR(skew_of(far_times), skew_of(near_times), 1e-3);  // 1e12 leaves 1e-4 of precision
}

TEST(SkewOfFeatures, WholeNumbersAreAsTheirReals) {
  const auto partition = or_throw(iid(6, 2, 0));
  const Array labels = balanced(6, 2);
  const auto skew = [&](const Array& features) {
    const SkewSources sources{.labels = labels, .features = features};
    return *or_throw(measure_skew(partition, sources, 0)).feature_skew;
  };
  EXPECT_EQ(skew(Array::of<int32_t>({3, -1, 4, 1, -5, 9}).reshaped({6, 1})),
            skew(Array::of<float>({3, -1, 4, 1, -5, 9}).reshaped({6, 1})));
}

TEST(SkewOfFeatures, WhatCannotBeMeasuredIsLeftOut) {
  const auto ones = or_throw(iid(4, 4, 0));  // one example each
  const SkewSources sources{.labels = balanced(4, 2),
                            .features = Array::of<float>({0, 1, 2, 3}).reshaped({4, 1})};
  const auto metrics = to_metrics(or_throw(measure_skew(ones, sources, 0)));
  EXPECT_EQ(metrics.find("feature-skew"), nullptr);
  EXPECT_EQ(metrics.find("time-skew"), nullptr);
  const SkewSources same{.labels = balanced(4, 2), .features = Array::zeros(DType::kUint8, {4, 3})};
  EXPECT_FALSE(or_throw(measure_skew(or_throw(iid(4, 2, 0)), same, 0)).feature_skew);
  const SkewSources broken{.labels = balanced(4, 2),
                           .features = Array::of<float>({0, NAN, 2, 3}).reshaped({4, 1})};
  EXPECT_FALSE(or_throw(measure_skew(or_throw(iid(4, 2, 0)), broken, 0)).feature_skew);
}

TEST(SkewOfFeatures, SourcesThatDoNotFitAreNamed) {
  const auto partition = or_throw(iid(4, 2, 0));
  const auto error_of = [&](const SkewSources& sources) {
    return message_of(measure_skew(partition, sources, 0).status());
  };
  const Array labels = balanced(4, 2);
  EXPECT_EQ(error_of({.labels = labels, .features = Array::zeros(DType::kFloat32, {3, 2})}),
            "features are float32[3,2], expected uint8, int32 or float32 of 4 examples");
  EXPECT_EQ(error_of({.labels = labels, .times = Array::zeros(DType::kInt32, {3})}),
            "times are int32[3], expected one for each of 4 examples");
  const auto shift = or_throw(FeatureShift::make({.clients = 1}));
  EXPECT_EQ(error_of({.labels = labels, .shift = &shift}),
            "the feature shift is of 1 clients, the partition has 2");
}

// Strict windows: the share of the ranks' variance between K equal runs is 1 - 1 / K^2.
TEST(SkewInTime, HasItsClosedFormForStrictWindows) {
  const Array labels = balanced(10'000, 2);
  Array times = Array::uninitialized(DType::kInt32, {10'000});
  for (int32_t i = 0; i != 10'000; ++i) times.mutable_view<int32_t>()[static_cast<size_t>(i)] = i;
  const SkewSources sources{.labels = labels, .times = times};
  for (const uint64_t windows : {2, 5, 20}) {
    const auto partition = or_throw(temporal(times, {.clients = 20, .windows = windows}));
    const Skew skew = or_throw(measure_skew(partition, sources, 0));
    EXPECT_NEAR(skew.time_skew.value(), 1 - 1.0 / static_cast<double>(windows * windows), 0.01);
  }
  const Skew none = or_throw(measure_skew(or_throw(iid(10'000, 20, 1)), sources, 0));
  EXPECT_NEAR(none.time_skew.value(), 0, 0.01);
}

}  // namespace
}  // namespace umbel::data
