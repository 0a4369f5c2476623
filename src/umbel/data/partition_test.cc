#include "umbel/data/partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>
#include <vector>

#include "umbel/base/rng.h"
#include "umbel/base/statistics_test.h"

namespace umbel::data {
namespace {

using testing::HasSubstr;
using testing_statistics::chi_square;
using testing_statistics::chi_square_limit;
using testing_statistics::Moments;
using testing_statistics::moments_of;

constexpr uint64_t kSeed = 2019;

// n labels, 0 to k - 1 in turn.
Array balanced(int64_t n, int32_t k) {
  Array labels = Array::uninitialized(DType::kInt32, {n});
  const auto out = labels.mutable_view<int32_t>();
  for (size_t i = 0; i != out.size(); ++i) out[i] = static_cast<int32_t>(i) % k;
  return labels;
}

Array random_labels() {
  const auto labels =
      *rc::gen::suchThat(rc::gen::container<std::vector<int32_t>>(rc::gen::inRange<int32_t>(0, 12)),
                         [](const auto& values) { return !values.empty(); });
  return Array::copy_of<int32_t>(labels, {static_cast<int64_t>(labels.size())});
}

// Requires that each of n examples belongs to one client, and client sizes from `min` to `max`.
void require_exact_cover(const Partition& partition, uint64_t n, size_t min, size_t max) {
  std::vector<int> owners(n, 0);
  for (uint64_t client = 0; client != partition.clients(); ++client) {
    const auto mine = partition.examples(client);
    RC_ASSERT(mine.size() >= min && mine.size() <= max);
    for (const uint32_t example : mine) ++owners.at(example);
  }
  RC_ASSERT(std::ranges::all_of(owners, [](int count) { return count == 1; }));
  RC_ASSERT(partition.disjoint());
}

TEST(PartitionLaw, IidGivesEachExampleToOneClient) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<uint64_t>(1, 300);
    const auto clients = *rc::gen::inRange<uint64_t>(1, n + 1);
    const auto partition = or_throw(iid(n, clients, *rc::gen::arbitrary<uint64_t>()));
    RC_ASSERT(partition.clients() == clients);
    require_exact_cover(partition, n, n / clients, (n + clients - 1) / clients);
  }));
}

TEST(PartitionLaw, DirichletGivesEachExampleToOneClient) {
  EXPECT_TRUE(rc::check([] {
    const Array labels = random_labels();
    const auto n = static_cast<uint64_t>(labels.size());
    const auto clients = *rc::gen::inRange<uint64_t>(1, n + 1);
    const double alpha = *rc::gen::element(1e-300, 1e-3, 0.3, 1.0, 100.0, 1e300);
    const auto partition =
        or_throw(dirichlet(labels, {clients, alpha, *rc::gen::arbitrary<uint64_t>()}));
    require_exact_cover(partition, n, n / clients, (n + clients - 1) / clients);
  }));
}

TEST(PartitionLaw, ShardsGiveEachExampleToOneClient) {
  EXPECT_TRUE(rc::check([] {
    const Array labels = random_labels();
    const auto n = static_cast<uint64_t>(labels.size());
    const auto clients = *rc::gen::inRange<uint64_t>(1, n + 1);
    const auto each = *rc::gen::inRange<uint64_t>(1, n / clients + 1);
    const auto partition =
        or_throw(shards(labels, {clients, each, *rc::gen::arbitrary<uint64_t>()}));
    const uint64_t shard = n / (clients * each);
    require_exact_cover(partition, n, each * shard, each * (shard + 1));
  }));
}

TEST(PartitionLaw, DrawnClientsHoldWhatWasAskedFor) {
  EXPECT_TRUE(rc::check([] {
    const Array labels = random_labels();
    const auto n = static_cast<uint64_t>(labels.size());
    const auto each = *rc::gen::inRange<uint64_t>(1, n + 1);
    const auto seed = *rc::gen::arbitrary<uint64_t>();
    const auto client = *rc::gen::inRange<uint64_t>(0, 1'000'000'000);
    const DrawnOptions options{1'000'000'000, 0.3, each, seed};
    const auto spread = or_throw(drawn(labels, options)).examples(client);
    RC_ASSERT(spread.size() == each);
    RC_ASSERT(*std::ranges::max_element(spread) < n);
    const auto uniform = or_throw(drawn_iid(n, options)).examples(client);
    RC_ASSERT(uniform.size() == each);
    RC_ASSERT((std::set<uint32_t>(uniform.begin(), uniform.end()).size() == each));
    RC_ASSERT(*std::ranges::max_element(uniform) < n);
  }));
}

TEST(PartitionLaw, DrawnShardsAreDifferentExamples) {
  EXPECT_TRUE(rc::check([] {
    const Array labels = random_labels();
    const auto n = static_cast<uint64_t>(labels.size());
    const auto each = *rc::gen::inRange<uint64_t>(1, n + 1);
    const auto count = *rc::gen::inRange<uint64_t>(1, each + 1);
    const auto partition =
        drawn_shards(labels, {1000, count, each, *rc::gen::arbitrary<uint64_t>()});
    RC_PRE(partition.ok());
    const auto mine = partition->examples(999);
    RC_ASSERT(mine.size() == each);
    RC_ASSERT((std::set<uint32_t>(mine.begin(), mine.end()).size() == each));
  }));
}

std::vector<Partition> one_of_each(const Array& labels, uint64_t clients, uint64_t seed) {
  const auto n = static_cast<uint64_t>(labels.size());
  return {or_throw(iid(n, clients, seed)),
          or_throw(dirichlet(labels, {clients, 0.3, seed})),
          or_throw(shards(labels, {clients, 2, seed})),
          or_throw(drawn(labels, {clients, 0.3, 20, seed})),
          or_throw(drawn_iid(n, {clients, 0.3, 20, seed})),
          or_throw(drawn_shards(labels, {clients, 2, 20, seed}))};
}

TEST(Partition, SameSeedGivesTheSameAndAnotherSeedAnother) {
  const Array labels = balanced(1000, 10);
  const auto first = one_of_each(labels, 20, 1);
  const auto again = one_of_each(labels, 20, 1);
  const auto other = one_of_each(labels, 20, 2);
  for (size_t i = 0; i != first.size(); ++i) {
    for (uint64_t client = 0; client != 20; ++client) {
      EXPECT_EQ(first[i].examples(client), again[i].examples(client)) << i;
      EXPECT_NE(first[i].examples(client), other[i].examples(client)) << i;
    }
  }
}

TEST(Partition, AskingAgainOrInAnotherOrderChangesNothing) {
  for (const Partition& partition : one_of_each(balanced(1000, 10), 20, kSeed)) {
    std::vector<std::vector<uint32_t>> forwards(20);
    for (uint64_t client = 0; client != 20; ++client) forwards[client] = partition.examples(client);
    for (uint64_t client = 20; client-- != 0;) {
      EXPECT_EQ(partition.examples(client), forwards[client]);
    }
  }
}

TEST(Partition, DrawnClientIsTheSameInAPopulationOfAnySize) {
  const Array labels = balanced(1000, 10);
  const auto few = or_throw(drawn(labels, {.clients = 100, .seed = kSeed}));
  const auto many = or_throw(drawn(labels, {.clients = 100'000'000'000, .seed = kSeed}));
  EXPECT_EQ(few.examples(99), many.examples(99));
  EXPECT_EQ(many.examples(99'999'999'999).size(), 60u);
}

TEST(Partition, MemoryOfTheCallersIsUsedAgain) {
  for (const Partition& partition : one_of_each(balanced(1000, 10), 20, kSeed)) {
    std::vector<uint32_t> out;
    out.reserve(1000);
    const uint32_t* memory = out.data();
    for (uint64_t client = 0; client != 20; ++client) {
      partition.examples(client, out);
      EXPECT_EQ(out.data(), memory);
      EXPECT_EQ(out, partition.examples(client));
    }
  }
}

TEST(Partition, ClientBeyondThePopulationIsNamed) {
  for (const Partition& partition : one_of_each(balanced(1000, 10), 20, kSeed)) {
    try {
      (void)partition.examples(20);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "client 20 of a partition with 20 clients: ids are 0 to 19");
    }
  }
}

// How many of a client's examples have each label.
std::vector<double> label_counts(const Partition& partition, uint64_t client, const Array& labels,
                                 size_t k) {
  std::vector<double> counts(k, 0);
  for (const uint32_t example : partition.examples(client)) {
    ++counts[static_cast<size_t>(labels.view<int32_t>()[example])];
  }
  return counts;
}

// A table of clients and labels whose margins are fixed is nearly chi-square distributed.
TEST(PartitionStatistics, IidClientsHaveLabelsInProportion) {
  const Array labels = balanced(20'000, 10);
  const auto partition = or_throw(iid(20'000, 100, kSeed));
  double sum = 0;
  for (uint64_t client = 0; client != 100; ++client) {
    sum += chi_square(label_counts(partition, client, labels, 10), std::vector<double>(10, 20));
  }
  EXPECT_LT(sum, chi_square_limit(99 * 9)) << "seed " << kSeed;
  EXPECT_GT(sum, 2 * 99 * 9 - chi_square_limit(99 * 9)) << "more even than chance allows";
}

// A share p has variance V = (1/K)(1 - 1/K) / (K alpha + 1); m examples drawn by it have label
// shares of variance V (1 - 1/m) + (1/K)(1 - 1/K) / m.
TEST(PartitionStatistics, DrawnClientsHaveTheMomentsOfTheDirichletDistribution) {
  constexpr double kLabels = 10;
  constexpr double kExamples = 60;
  const Array labels = balanced(6000, 10);
  for (double alpha : {0.05, 0.3, 1.0, 10.0, 1e6}) {
    SCOPED_TRACE(testing::Message() << "alpha " << alpha << " seed " << kSeed);
    const auto partition = or_throw(drawn(
        labels, {.clients = 20'000, .alpha = alpha, .examples_per_client = 60, .seed = kSeed}));
    std::vector<double> shares;
    for (uint64_t client = 0; client != partition.clients(); ++client) {
      shares.push_back(label_counts(partition, client, labels, 10)[3] / kExamples);
    }
    const Moments m = moments_of(shares);
    const double chance = 1 / kLabels * (1 - 1 / kLabels);
    const double mix = chance / (kLabels * alpha + 1);
    EXPECT_NEAR(m.mean, 1 / kLabels, 5 * m.mean_error);
    EXPECT_NEAR(m.variance, mix * (1 - 1 / kExamples) + chance / kExamples, 5 * m.variance_error);
  }
}

TEST(PartitionStatistics, DrawnExamplesAreUniformWithinTheirLabel) {
  const Array labels = balanced(100, 2);
  const auto partition =
      or_throw(drawn(labels, {.clients = 20'000, .alpha = 1, .examples_per_client = 1}));
  std::vector<double> counts(100, 0);
  for (uint64_t client = 0; client != partition.clients(); ++client) {
    ++counts[partition.examples(client)[0]];
  }
  EXPECT_LT(chi_square(counts, std::vector<double>(100, 200)), chi_square_limit(99));
}

TEST(PartitionStatistics, ExamplesComeInRandomOrder) {
  const Array labels = balanced(10'000, 2);
  for (const Partition& partition : one_of_each(labels, 100, kSeed)) {
    double first_half = 0;
    double second_half = 0;
    for (uint64_t client = 0; client != partition.clients(); ++client) {
      const auto mine = partition.examples(client);
      for (size_t i = 0; i != mine.size(); ++i) {
        (i < mine.size() / 2 ? first_half : second_half) += labels.view<int32_t>()[mine[i]];
      }
    }
    const double all = first_half + second_half;
    EXPECT_NEAR(first_half, second_half, 5 * std::sqrt(all)) << "seed " << kSeed;
  }
}

TEST(Partition, ShardsOfOneLabelGiveAClientAsManyLabelsAsShards) {
  const Array labels = balanced(1000, 10);
  const auto shared = or_throw(shards(labels, {.clients = 50, .seed = kSeed}));
  const auto drawn = or_throw(drawn_shards(labels, {.clients = 500, .examples_per_client = 20}));
  for (const Partition& partition : {shared, drawn}) {
    size_t two = 0;
    for (uint64_t client = 0; client != partition.clients(); ++client) {
      const auto counts = label_counts(partition, client, labels, 10);
      const auto present = 10 - std::count(counts.begin(), counts.end(), 0.0);
      EXPECT_LE(present, 2);
      two += present == 2 ? 1 : 0;
    }
    EXPECT_GT(two, partition.clients() / 2);
  }
}

TEST(Partition, DrawnClientHoldsNothingTwiceWhileTheDataLasts) {
  const Array labels = balanced(6000, 10);
  for (uint64_t each : {60, 128, 129, 500, 600}) {  // 600 of one label are all that there are
    for (double alpha : {1e-300, 0.3, 1e6}) {
      const auto partition = or_throw(drawn(
          labels, {.clients = 100, .alpha = alpha, .examples_per_client = each, .seed = kSeed}));
      for (uint64_t client = 0; client != 100; ++client) {
        const auto mine = partition.examples(client);
        EXPECT_EQ(std::set<uint32_t>(mine.begin(), mine.end()).size(), each)
            << "alpha " << alpha << " client " << client << " seed " << kSeed;
      }
    }
  }
}

TEST(Partition, ClientOfARareLabelHoldsItSeveralTimes) {
  std::vector<int32_t> values(1000, 0);
  values[500] = 7;
  const Array labels = Array::copy_of<int32_t>(values, {1000});
  const auto partition = or_throw(drawn(labels, {.clients = 100, .alpha = 1e-300}));
  bool found = false;
  for (uint64_t client = 0; client != 100; ++client) {
    found |= partition.examples(client) == std::vector<uint32_t>(60, 500);
  }
  EXPECT_TRUE(found);
}

TEST(MakePartition, SharesTheDataOutWhileItLasts) {
  const Array labels = balanced(1000, 10);
  for (const char* kind : {"dirichlet", "iid", "shards"}) {
    EXPECT_TRUE(or_throw(make_partition(labels, {.kind = kind, .clients = 100})).disjoint())
        << kind;
    const auto beyond =
        or_throw(make_partition(labels, {.kind = kind, .clients = 101, .examples_per_client = 30}));
    EXPECT_FALSE(beyond.disjoint()) << kind;
    EXPECT_EQ(beyond.examples(100).size(), 30u) << kind;
    EXPECT_EQ(or_throw(make_partition(labels, {.kind = kind, .clients = UINT64_MAX}))
                  .examples(UINT64_MAX - 1)
                  .size(),
              60u);
  }
}

std::string error_of(const Array& labels, const PartitionOptions& options) {
  return message_of(make_partition(labels, options).status());
}

TEST(MakePartition, ErrorsNameTheOption) {
  const Array labels = balanced(1000, 10);
  EXPECT_EQ(error_of(labels, {.kind = "dirichlett"}),
            "partition: kind is \"dirichlett\", expected one of dirichlet, iid, shards, linear, "
            "square, exponential, inner-dirichlet, natural-id, grouped-natural-id, continuous, "
            "temporal; did you mean \"dirichlet\"?");
  for (const char* kind : {"dirichlet", "iid", "shards"}) {
    EXPECT_EQ(error_of(labels, {.kind = kind, .clients = 0}),
              "partition: clients is 0, expected at least 1");
    for (uint64_t each : {0, 1001}) {
      EXPECT_THAT(
          error_of(labels, {.kind = kind, .clients = 500, .examples_per_client = each}),
          HasSubstr("examples-per-client is " + std::to_string(each) + ", expected 1 to 1000"));
    }
  }
  for (double alpha : {0.0, -1.0, HUGE_VAL, std::nan("")}) {
    for (uint64_t clients : {10, 500}) {
      EXPECT_THAT(error_of(labels, {.clients = clients, .alpha = alpha}), HasSubstr("alpha is "));
    }
  }
  for (uint64_t shards : {0, 1001}) {
    for (uint64_t clients : {10, 500}) {
      EXPECT_THAT(
          error_of(labels, {.kind = "shards", .clients = clients, .shards_per_client = shards}),
          HasSubstr("shards-per-client is "));
    }
  }
}

TEST(Partition, WhatCannotBeSharedOutIsAnError) {
  const Array labels = balanced(100, 10);
  EXPECT_THAT(message_of(iid(100, 101, 0).status()), HasSubstr("clients is 101, but 100 examples"));
  EXPECT_THAT(message_of(dirichlet(labels, {.clients = 101}).status()),
              HasSubstr("clients is 101"));
  EXPECT_THAT(message_of(dirichlet(labels, {.clients = 11, .examples_min = 10}).status()),
              HasSubstr("examples-min is 10, but 100 examples give each of 11 clients 9"));
  EXPECT_TRUE(dirichlet(labels, {.clients = 10, .examples_min = 10}).ok());
  EXPECT_FALSE(shards(labels, {.clients = 51}).ok());
  EXPECT_FALSE(iid(0, 1, 0).ok());
}

TEST(Partition, LabelsThatAreNoneAreAnError) {
  for (const Array& labels : {Array::of<int64_t>({0, 1}), Array::zeros(DType::kInt32, {2, 2}),
                              Array::zeros(DType::kInt32, {0}), Array::of<int32_t>({0, -1}),
                              Array::of<int32_t>({0, 65536})}) {
    EXPECT_TRUE(absl::IsInvalidArgument(drawn(labels, {}).status())) << labels.describe();
    EXPECT_TRUE(absl::IsInvalidArgument(dirichlet(labels, {.clients = 1}).status()));
    EXPECT_TRUE(absl::IsInvalidArgument(shards(labels, {.clients = 1}).status()));
  }
}

}  // namespace
}  // namespace umbel::data
