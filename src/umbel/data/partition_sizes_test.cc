#include "umbel/data/partition_sizes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <numeric>
#include <set>

#include "umbel/base/statistics_test.h"
#include "umbel/data/partition.h"
#include "umbel/data/partition_samples_test.h"

namespace umbel::data {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing_partition::balanced;
using testing_partition::covers_exactly;
using testing_partition::normal_distance;
using testing_partition::sizes_of;
using testing_statistics::chi_square;
using testing_statistics::chi_square_limit;
using testing_statistics::Moments;
using testing_statistics::moments_of;

constexpr uint64_t kSeed = 2021;

double weight(SizeLaw law, uint64_t client, uint64_t clients) {
  const auto x = static_cast<double>(client + 1);
  if (law == SizeLaw::kLinear) return x;
  if (law == SizeLaw::kSquare) return x * x;
  return std::exp(x - static_cast<double>(clients));
}

TEST(PartitionSizesLaw, SizesAreTheLawsToLessThanAnExample) {
  EXPECT_TRUE(rc::check([] {
    const auto law = *rc::gen::element(SizeLaw::kLinear, SizeLaw::kSquare, SizeLaw::kExponential);
    const auto n = *rc::gen::inRange<uint64_t>(1, 5000);
    const auto clients = *rc::gen::inRange<uint64_t>(1, 300);
    const auto seed = *rc::gen::arbitrary<uint64_t>();
    const auto partition = or_throw(sized(n, {law, clients, seed, 0}));
    RC_ASSERT(covers_exactly(partition, n));
    double all = 0;
    for (uint64_t i = 0; i != clients; ++i) all += weight(law, i, clients);
    const auto sizes = sizes_of(partition);
    for (uint64_t i = 0; i != clients; ++i) {
      const double ideal = static_cast<double>(n) * weight(law, i, clients) / all;
      RC_ASSERT(std::fabs(static_cast<double>(sizes[i]) - ideal) < 1 + 1e-9);
    }
  }));
}

TEST(PartitionSizes, FollowTheirLawsWhereTheyDivideEvenly) {
  EXPECT_THAT(sizes_of(or_throw(sized(100, {SizeLaw::kLinear, 4, kSeed}))),
              ElementsAre(10, 20, 30, 40));
  EXPECT_THAT(sizes_of(or_throw(sized(300, {SizeLaw::kSquare, 4, kSeed}))),
              ElementsAre(10, 40, 90, 160));
}

TEST(PartitionSizes, AnEmptyClientIsRefusedOrAllowed) {
  EXPECT_EQ(message_of(sized(100, {SizeLaw::kExponential, 20, kSeed}).status()),
            "partition: client 0 of 20 would have 0 examples, examples-min is 1: ask for fewer "
            "clients, or for a smaller examples-min (0 allows empty ones)");
  EXPECT_THAT(message_of(sized(100, {SizeLaw::kLinear, 4, kSeed, 11}).status()),
              HasSubstr("client 0 of 4 would have 10 examples, examples-min is 11"));
  const auto partition = or_throw(sized(100, {SizeLaw::kExponential, 20, kSeed, 0}));
  EXPECT_TRUE(partition.examples(0).empty());
  EXPECT_TRUE(covers_exactly(partition, 100));
}

TEST(PartitionSizes, MoreClientsThanExamplesNeedEmptyOnes) {
  const Array labels = balanced(100, 5);
  EXPECT_THAT(message_of(sized(100, {SizeLaw::kLinear, 101, kSeed}).status()),
              HasSubstr("clients is 101 and examples-min is 1, but there are 100 examples"));
  EXPECT_THAT(message_of(inner_dirichlet(labels, {.clients = 101}).status()),
              HasSubstr("clients is 101"));
  EXPECT_TRUE(covers_exactly(or_throw(sized(100, {SizeLaw::kLinear, 1000, kSeed, 0})), 100));
  EXPECT_TRUE(
      covers_exactly(or_throw(inner_dirichlet(labels, {.clients = 1000, .examples_min = 0})), 100));
  EXPECT_THAT(message_of(sized(100, {SizeLaw::kLinear, kClientsSharedMax + 1, 0, 0}).status()),
              HasSubstr("clients is 10000001"));
}

// Which examples a client of a size gets is chance: labels in proportion, as a table with fixed
// margins has them.
TEST(PartitionSizesStatistics, ClientsHaveLabelsInProportion) {
  const Array labels = balanced(20'000, 10);
  const auto partition = or_throw(sized(20'000, {SizeLaw::kLinear, 50, kSeed}));
  double sum = 0;
  for (uint64_t client = 0; client != 50; ++client) {
    std::vector<double> counts(10, 0);
    const auto mine = partition.examples(client);
    for (const uint32_t e : mine) ++counts[static_cast<size_t>(labels.view<int32_t>()[e])];
    sum += chi_square(counts, std::vector<double>(10, static_cast<double>(mine.size()) / 10));
  }
  EXPECT_LT(sum, chi_square_limit(49 * 9)) << "seed " << kSeed;
}

TEST(PartitionSizes, DrawnSizesAreTheLawsToTheNearest) {
  for (const SizeLaw law : {SizeLaw::kLinear, SizeLaw::kSquare}) {
    const auto partition =
        or_throw(drawn_sized(5000, {.law = law, .clients = 400, .examples_per_client = 100}));
    double all = 0, sum = 0;
    for (uint64_t i = 0; i != 400; ++i) all += weight(law, i, 400);
    for (uint64_t i = 0; i != 400; ++i) {
      const auto mine = partition.examples(i);
      const auto size = static_cast<double>(mine.size());
      const double ideal = 400 * 100 * weight(law, i, 400) / all;
      EXPECT_NEAR(size, std::max(1.0, ideal), 0.5 + 1e-9) << i;
      EXPECT_EQ(std::set<uint32_t>(mine.begin(), mine.end()).size(), mine.size());
      sum += size;
    }
    EXPECT_NEAR(sum / 400, 100, 1);
  }
  const auto few = or_throw(drawn_sized(50, {.clients = 1000, .examples_per_client = 40}));
  EXPECT_EQ(few.examples(999).size(), 50u);  // all that there are
}

TEST(PartitionSizesStatistics, InnerSizesAreLogNormal) {
  const Array labels = balanced(1'000'000, 10);
  const auto shared =
      or_throw(inner_dirichlet(labels, {.clients = 1000, .size_sigma = 0.4, .seed = kSeed}));
  const auto drew = or_throw(drawn_inner(
      labels,
      {.clients = 1000, .size_sigma = 0.4, .examples_per_client = 1000, .seed = kSeed + 1}));
  for (const Partition& partition : {shared, drew}) {
    std::vector<double> logs;
    for (const uint64_t size : sizes_of(partition)) logs.push_back(std::log(size));
    const Moments m = moments_of(logs);
    EXPECT_NEAR(m.variance, 0.16, 5 * m.variance_error) << "seed " << kSeed;
    EXPECT_NEAR(m.mean, std::log(1000.0) - 0.08, 5 * m.mean_error) << "seed " << kSeed;
    EXPECT_LT(normal_distance(logs, m.mean, 0.4), 2.7) << "seed " << kSeed;
  }
  EXPECT_TRUE(covers_exactly(shared, 1'000'000));
}

// As DrawnClientsHaveTheMomentsOfTheDirichletDistribution, with the sizes as they are.
TEST(PartitionSizesStatistics, InnerMixesHaveTheMomentsOfTheDirichletDistribution) {
  const Array labels = balanced(6000, 10);
  for (const double alpha : {0.05, 0.3, 1.0, 1e6}) {
    SCOPED_TRACE(testing::Message() << "alpha " << alpha << " seed " << kSeed);
    const auto partition =
        or_throw(drawn_inner(labels, {.clients = 20'000, .alpha = alpha, .seed = kSeed}));
    std::vector<double> shares;
    double inverse = 0;
    for (uint64_t client = 0; client != partition.clients(); ++client) {
      const auto mine = partition.examples(client);
      const auto m = static_cast<double>(mine.size());
      inverse += 1 / m / 20'000;
      const auto is_three = [&](uint32_t e) { return labels.view<int32_t>()[e] == 3; };
      shares.push_back(static_cast<double>(std::ranges::count_if(mine, is_three)) / m);
    }
    const Moments m = moments_of(shares);
    const double chance = 0.1 * 0.9;
    const double mix = chance / (10 * alpha + 1);
    EXPECT_NEAR(m.mean, 0.1, 5 * m.mean_error);
    EXPECT_NEAR(m.variance, mix + (chance - mix) * inverse, 5 * m.variance_error);
  }
}

TEST(PartitionSizes, InnerSizesCanBeGiven) {
  const Array labels = balanced(100, 5);
  const auto partition =
      or_throw(inner_dirichlet(labels, {.clients = 3, .examples_min = 0, .sizes = {60, 0, 30}}));
  EXPECT_THAT(sizes_of(partition), ElementsAre(60, 0, 30));
  EXPECT_THAT(message_of(inner_dirichlet(labels, {.clients = 3, .sizes = {1, 2}}).status()),
              HasSubstr("2 sizes for 3 clients"));
  EXPECT_THAT(message_of(inner_dirichlet(labels, {.clients = 2, .sizes = {60, 41}}).status()),
              HasSubstr("the sizes of clients 0 to 1 are more than 100 examples"));
  EXPECT_FALSE(inner_dirichlet(labels, {.clients = 2, .sizes = {60, UINT64_MAX}}).ok());
  EXPECT_THAT(message_of(inner_dirichlet(labels, {.clients = 2, .sizes = {60, 0}}).status()),
              HasSubstr("client 1 of 2 would have 0 examples"));
}

TEST(PartitionSizes, WithoutSigmaInnerSizesAreEqual) {
  const Array labels = balanced(1000, 5);
  EXPECT_THAT(sizes_of(or_throw(inner_dirichlet(labels, {.clients = 20, .size_sigma = 0}))),
              Each(testing::AllOf(testing::Ge(49u), testing::Le(51u))));
  EXPECT_THAT(sizes_of(or_throw(drawn_inner(
                  labels, {.clients = 20, .size_sigma = 0, .examples_per_client = 30}))),
              Each(30u));
}

TEST(PartitionSizes, ErrorsNameTheOption) {
  const Array labels = balanced(100, 5);
  EXPECT_THAT(message_of(inner_dirichlet(labels, {.clients = 2, .size_sigma = -1}).status()),
              HasSubstr("size-sigma is -1, expected a number from 0 to 5"));
  EXPECT_THAT(message_of(drawn_inner(labels, {.size_sigma = std::nan("")}).status()),
              HasSubstr("size-sigma is nan"));
  EXPECT_THAT(message_of(drawn_inner(labels, {.examples_per_client = 101}).status()),
              HasSubstr("examples-per-client is 101, expected 1 to 100"));
  EXPECT_THAT(message_of(drawn_sized(100, {.law = SizeLaw::kExponential}).status()),
              HasSubstr("exponential sizes cannot be drawn"));
  EXPECT_THAT(message_of(drawn_sized(100, {.clients = UINT64_MAX}).status()),
              HasSubstr("clients is 18446744073709551615"));
  EXPECT_THAT(message_of(sized(0, {}).status()), HasSubstr("0 examples"));
  EXPECT_THAT(message_of(sized(10, {.clients = 0}).status()), HasSubstr("clients is 0"));
}

}  // namespace
}  // namespace umbel::data
