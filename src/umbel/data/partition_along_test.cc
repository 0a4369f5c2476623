#include "umbel/data/partition_along.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>
#include <set>

#include "umbel/base/rng.h"
#include "umbel/base/statistics_test.h"
#include "umbel/data/partition.h"
#include "umbel/data/partition_samples_test.h"

namespace umbel::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_partition::balanced;
using testing_partition::covers_exactly;
using testing_partition::sizes_of;
using testing_statistics::chi_square;
using testing_statistics::chi_square_limit;

constexpr uint64_t kSeed = 1815;

// n different values in random order, and of each example its place among them.
struct Axis {
  explicit Axis(size_t n) : values(Array::zeros(DType::kFloat64, {static_cast<int64_t>(n)})) {
    for (size_t i = 0; i != n; ++i) rank.push_back(static_cast<uint32_t>(i));
    Rng rng(kSeed);
    rng.shuffle(std::span(rank));
    for (size_t i = 0; i != n; ++i) values.mutable_view<double>()[i] = -3.0 + 0.5 * rank[i];
  }
  Array values;
  std::vector<uint32_t> rank;
};

TEST(PartitionAlongLaw, EachExampleGoesToOneClientAndSizesAreEqual) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<uint64_t>(1, 400);
    const auto clients = *rc::gen::inRange<uint64_t>(1, n + 1);
    const auto windows = *rc::gen::inRange<uint64_t>(1, clients + 1);
    const double strictness = *rc::gen::element(0.0, 0.3, 1.0);
    const auto seed = *rc::gen::arbitrary<uint64_t>();
    const Array values = Axis(n).values;
    const auto line = or_throw(continuous(values, {clients, strictness, seed}));
    RC_ASSERT(line.clients() == clients && covers_exactly(line, n));
    for (const uint64_t size : sizes_of(line)) {
      RC_ASSERT(size == n / clients || size == n / clients + 1);
    }
    const auto time = or_throw(temporal(values, {clients, windows, strictness, seed, 0}));
    RC_ASSERT(time.clients() == clients && covers_exactly(time, n));
  }));
}

TEST(PartitionAlong, StrictClientsFollowEachOtherOnTheAxis) {
  const Axis axis(1000);
  const auto line = or_throw(continuous(axis.values, {.clients = 20, .seed = kSeed}));
  const auto time = or_throw(temporal(axis.values, {.clients = 20, .windows = 5, .seed = kSeed}));
  for (uint64_t client = 0; client != 20; ++client) {
    for (const uint32_t example : line.examples(client)) {
      EXPECT_EQ(axis.rank[example] / 50, client);
    }
    for (const uint32_t example : time.examples(client)) {
      EXPECT_EQ(axis.rank[example] / 200, client / 4);
    }
  }
}

// A window's clients share its examples at random: their halves of it are chance.
TEST(PartitionAlongStatistics, ClientsOfAWindowShareItAtRandom) {
  const Axis axis(20'000);
  const auto time = or_throw(temporal(axis.values, {.clients = 20, .windows = 2, .seed = kSeed}));
  std::vector<double> early;
  for (uint64_t client = 0; client != 10; ++client) {
    const auto mine = time.examples(client);
    early.push_back(static_cast<double>(
        std::ranges::count_if(mine, [&](uint32_t e) { return axis.rank[e] < 5000; })));
  }
  // 1,000 of 10,000, half of them early: Pearson's statistic over both halves is twice this.
  EXPECT_LT(2 * chi_square(early, std::vector<double>(10, 500)), chi_square_limit(9))
      << "seed " << kSeed;
}

// Of n loosened places a share 1 - s is expected to change, 1 / K of them within their run.
TEST(PartitionAlongStatistics, LoosenedExamplesAreAsManyAsStated) {
  constexpr double kExamples = 20'000, kClients = 10;
  const Axis axis(20'000);
  for (const double strictness : {0.0, 0.5, 0.9}) {
    const auto line =
        or_throw(continuous(axis.values, {.clients = 10, .strictness = strictness, .seed = kSeed}));
    double own = 0;
    for (uint64_t client = 0; client != 10; ++client) {
      for (const uint32_t e : line.examples(client)) own += axis.rank[e] / 2000 == client ? 1 : 0;
    }
    const double share = strictness + (1 - strictness) / kClients;
    EXPECT_NEAR(own / kExamples, share, 5 * std::sqrt(share * (1 - share) / kExamples))
        << strictness << " seed " << kSeed;
  }
}

TEST(PartitionAlongStatistics, EqualValuesAreInRandomOrder) {
  const Array values = Array::zeros(DType::kInt32, {20'000});
  const Array labels = balanced(20'000, 10);
  const auto line = or_throw(continuous(values, {.clients = 20, .seed = kSeed}));
  double sum = 0;
  for (uint64_t client = 0; client != 20; ++client) {
    std::vector<double> counts(10, 0);
    for (const uint32_t e : line.examples(client)) ++counts[e % 10];
    sum += chi_square(counts, std::vector<double>(10, 100));
  }
  EXPECT_LT(sum, chi_square_limit(19 * 9)) << "seed " << kSeed;
}

TEST(PartitionAlong, DrawnClientsHaveTheirPlaceInAPopulationOfAnySize) {
  const Axis axis(1000);
  constexpr uint64_t kMany = 1'000'000'000'000;
  const auto line = or_throw(
      drawn_along(axis.values, {.clients = kMany, .examples_per_client = 50, .seed = kSeed}));
  const auto time = or_throw(drawn_along(
      axis.values, {.clients = kMany, .windows = 4, .examples_per_client = 50, .seed = kSeed}));
  for (const double place : {0.0, 0.3, 0.6, 1.0}) {
    const auto client = static_cast<uint64_t>(place * (kMany - 1.0));
    const auto first = static_cast<uint32_t>(place * 950);
    for (const uint32_t e : line.examples(client)) {
      EXPECT_GE(axis.rank[e] + 1, first);
      EXPECT_LE(axis.rank[e], first + 50);
    }
    const auto mine = time.examples(client);
    EXPECT_EQ(std::set<uint32_t>(mine.begin(), mine.end()).size(), 50u);
    const auto window = static_cast<uint32_t>(std::min(place * 4, 3.0));
    for (const uint32_t e : mine) EXPECT_EQ(axis.rank[e] / 250, window);
  }
}

TEST(PartitionAlongStatistics, DrawnExamplesAreOfTheRunAsOftenAsStated) {
  const Axis axis(1000);
  const auto time = or_throw(drawn_along(axis.values, {.clients = 4000,
                                                       .windows = 4,
                                                       .examples_per_client = 20,
                                                       .strictness = 0.5,
                                                       .seed = kSeed}));
  double own = 0;
  for (uint64_t client = 0; client != 4000; ++client) {
    const auto mine = time.examples(client);
    EXPECT_EQ(std::set<uint32_t>(mine.begin(), mine.end()).size(), 20u);
    for (const uint32_t e : mine) own += axis.rank[e] / 250 == client / 1000 ? 1 : 0;
  }
  const double share = 0.5 + 0.5 / 4;
  EXPECT_NEAR(own / 80'000, share, 5 * std::sqrt(share * (1 - share) / 80'000)) << "seed " << kSeed;
}

TEST(PartitionAlong, ErrorsNameOptionOrExample) {
  const Array values = Array::of<float>({1, 2, NAN, 4});
  EXPECT_EQ(message_of(continuous(values, {.clients = 2}).status()),
            "example 2 has the value nan on the axis, expected a finite number");
  EXPECT_THAT(message_of(temporal(Array::of<double>({1, -INFINITY}), {.clients = 1}).status()),
              HasSubstr("example 1 has the value -inf"));
  EXPECT_THAT(message_of(continuous(Array::zeros(DType::kFloat16, {4}), {}).status()),
              HasSubstr("values of an axis are float16[4], expected uint8, int32"));
  EXPECT_THAT(message_of(continuous(Array::zeros(DType::kFloat32, {4, 1}), {}).status()),
              HasSubstr("expected [n]"));
  const Array good = Array::of<int64_t>({std::numeric_limits<int64_t>::max(), 2, 3, 4});
  EXPECT_THAT(message_of(continuous(good, {.clients = 5}).status()), HasSubstr("clients is 5"));
  EXPECT_THAT(message_of(continuous(good, {.clients = 2, .strictness = 1.5}).status()),
              HasSubstr("strictness is 1.5, expected a number from 0 to 1"));
  EXPECT_THAT(message_of(temporal(good, {.clients = 2, .windows = 3}).status()),
              HasSubstr("windows is 3, expected 1 to 2"));
  EXPECT_THAT(message_of(drawn_along(good, {.examples_per_client = 5}).status()),
              HasSubstr("examples-per-client is 5, expected 1 to 4"));
  EXPECT_THAT(message_of(drawn_along(good, {.windows = 5, .examples_per_client = 1}).status()),
              HasSubstr("windows is 5, expected 1 to 4"));
}

TEST(PartitionAlong, FeatureColumnsAreReadInTheirOrder) {
  const Dataset data{.features = Array::of<float>({1, 2, 3, 4, 5, 6}).reshaped({3, 2}),
                     .labels = balanced(3, 3),
                     .classes = 3};
  EXPECT_EQ(or_throw(feature_column(data, 1)), Array::of<float>({2, 4, 6}));
  EXPECT_EQ(message_of(feature_column(data, 2).status()),
            "feature column 2: an example has 2, expected 0 to 1");
  const Dataset bytes{.features = Array::of<uint8_t>({7, 255}).reshaped({2, 1}),
                      .labels = balanced(2, 2),
                      .classes = 2};
  EXPECT_EQ(or_throw(feature_column(bytes, 0)), Array::of<float>({7, 255}));
}

TEST(TimeWindows, HaveAsManyExamplesEachInTheOrderOfTime) {
  const Axis axis(1003);
  const auto windows = or_throw(TimeWindows::make(axis.values, 10));
  std::vector<int> counts(10, 0);
  for (uint32_t example = 0; example != 1003; ++example) {
    const uint64_t window = windows.window_of(example);
    ++counts.at(window);
    EXPECT_EQ(window, axis.rank[example] < 303 ? axis.rank[example] / 101
                                               : 3 + (axis.rank[example] - 303) / 100);
  }
  EXPECT_THAT(counts, ElementsAre(101, 101, 101, 100, 100, 100, 100, 100, 100, 100));
}

TEST(TimeWindows, KeepWhatIsOfTheirTimeInItsOrder) {
  const Array times = Array::of<int32_t>({10, 20, 30, 40});
  const auto windows = or_throw(TimeWindows::make(times, 2));
  std::vector<uint32_t> examples{3, 0, 2, 1, 3};
  windows.keep(1, examples);
  EXPECT_THAT(examples, ElementsAre(3, 2, 3));
  windows.keep(0, examples);
  EXPECT_TRUE(examples.empty());
  EXPECT_THROW((void)windows.window_of(4), Error);
  EXPECT_THAT(message_of(TimeWindows::make(times, 5).status()),
              HasSubstr("windows is 5, expected 1 to 4"));
  EXPECT_FALSE(TimeWindows::make(times, 0).ok());
}

TEST(MakePartition, TimeIsTheOrderOfTheExamplesUnlessItIsGiven) {
  const Array labels = balanced(100, 10);
  const auto line =
      or_throw(make_partition(labels, {.kind = "temporal", .clients = 10, .windows = 2}));
  for (const uint32_t e : line.examples(3)) EXPECT_LT(e, 50u);
  for (const uint32_t e : line.examples(7)) EXPECT_GE(e, 50u);
  EXPECT_THAT(message_of(make_partition(labels, {.kind = "continuous", .clients = 10}).status()),
              HasSubstr("values of the axis are float32[0], expected one for each of 100"));
  EXPECT_THAT(
      message_of(
          make_partition(labels, {.kind = "temporal", .clients = 10, .windows = 0}).status()),
      HasSubstr("windows is 0"));
}

TEST(MakePartition, TimeHasAsManyWindowsAsThereAreClientsUpToTen) {
  const Array labels = balanced(1000, 10);
  for (const auto& [clients, windows] : {std::pair{5u, 5u}, {10u, 10u}, {30u, 10u}, {500u, 10u}}) {
    const PartitionOptions asked{.kind = "temporal", .clients = clients, .seed = kSeed};
    PartitionOptions same = asked;
    same.windows = windows;
    const auto partition = or_throw(make_partition(labels, asked));
    EXPECT_EQ(partition.examples(4), or_throw(make_partition(labels, same)).examples(4)) << clients;
  }
  EXPECT_EQ(or_throw(make_partition(labels, {.kind = "temporal", .clients = 1})).clients(), 1u);
}

TEST(MakePartition, EveryKindServesFewClientsAndMany) {
  const Array labels = balanced(1000, 10);
  const Axis axis(1000);
  for (const char* kind : {"linear", "square", "inner-dirichlet", "continuous", "temporal"}) {
    SCOPED_TRACE(kind);
    PartitionOptions options{
        .kind = kind, .clients = 20, .seed = kSeed, .windows = 5, .examples_min = 0};
    options.axis = axis.values;
    const auto few = or_throw(make_partition(labels, options));
    EXPECT_TRUE(covers_exactly(few, 1000));
    options.clients = 1'000'000;
    const auto many = or_throw(make_partition(labels, options));
    EXPECT_FALSE(many.disjoint());
    EXPECT_FALSE(many.examples(999'999).empty());
    options.seed = kSeed + 1;
    EXPECT_NE(or_throw(make_partition(labels, options)).examples(500'000), many.examples(500'000));
  }
}

}  // namespace
}  // namespace umbel::data
