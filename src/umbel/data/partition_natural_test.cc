#include "umbel/data/partition_natural.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <set>

#include "umbel/base/statistics_test.h"
#include "umbel/data/partition.h"
#include "umbel/data/partition_samples_test.h"

namespace umbel::data {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;
using testing_partition::balanced;
using testing_partition::covers_exactly;
using testing_partition::sizes_of;
using testing_statistics::chi_square;
using testing_statistics::chi_square_limit;

std::vector<int32_t> random_ids() {
  return *rc::gen::nonEmpty(
      rc::gen::container<std::vector<int32_t>>(rc::gen::inRange<int32_t>(-7, 20)));
}

Array array_of(const std::vector<int32_t>& ids) {
  return Array::copy_of<int32_t>(ids, {static_cast<int64_t>(ids.size())});
}

TEST(PartitionNaturalLaw, EachIdIsOneClientInAscendingOrder) {
  EXPECT_TRUE(rc::check([] {
    const auto ids = random_ids();
    const auto partition = or_throw(natural_id(array_of(ids), {*rc::gen::arbitrary<uint64_t>()}));
    RC_ASSERT(covers_exactly(partition, ids.size()));
    const std::set<int32_t> distinct(ids.begin(), ids.end());
    RC_ASSERT(partition.clients() == distinct.size());
    uint64_t client = 0;
    for (const int32_t id : distinct) {
      for (const uint32_t example : partition.examples(client)) RC_ASSERT(ids[example] == id);
      ++client;
    }
  }));
}

TEST(PartitionNaturalLaw, GroupsTearNoIdApartAndHaveAsManyIds) {
  EXPECT_TRUE(rc::check([] {
    const auto ids = random_ids();
    const uint64_t distinct = std::set<int32_t>(ids.begin(), ids.end()).size();
    const auto clients = *rc::gen::inRange<uint64_t>(1, distinct + 1);
    const auto seed = *rc::gen::arbitrary<uint64_t>();
    const auto partition = or_throw(grouped_natural_id(array_of(ids), {clients, seed}));
    RC_ASSERT(partition.clients() == clients);
    RC_ASSERT(covers_exactly(partition, ids.size()));
    std::map<int32_t, uint64_t> owner;
    for (uint64_t client = 0; client != clients; ++client) {
      std::set<int32_t> mine;
      for (const uint32_t example : partition.examples(client)) {
        RC_ASSERT(owner.try_emplace(ids[example], client).first->second == client);
        mine.insert(ids[example]);
      }
      RC_ASSERT(mine.size() == distinct / clients || mine.size() == distinct / clients + 1);
    }
  }));
}

TEST(PartitionNaturalStatistics, IdsAreDealtAtRandom) {
  const Array ids = balanced(12, 12);
  std::vector<double> counts(4, 0);
  for (uint64_t seed = 0; seed != 2000; ++seed) {
    const auto partition = or_throw(grouped_natural_id(ids, {.clients = 4, .seed = seed}));
    for (uint64_t client = 0; client != 4; ++client) {
      const auto mine = partition.examples(client);
      counts[client] += static_cast<double>(std::ranges::count(mine, 0u));
    }
  }
  EXPECT_LT(chi_square(counts, std::vector<double>(4, 500)), chi_square_limit(3));
}

TEST(PartitionNatural, TooFewExamplesAreRefusedByName) {
  const Array ids = Array::of<int32_t>({5, 5, 9, 5});
  EXPECT_EQ(message_of(natural_id(ids, {.examples_min = 2}).status()),
            "partition: natural id 9 has 1 examples, examples-min is 2");
  EXPECT_EQ(message_of(grouped_natural_id(ids, {.clients = 3}).status()),
            "partition: clients is 3, but there are 2 natural ids");
  const auto spare = or_throw(grouped_natural_id(ids, {.clients = 3, .examples_min = 0}));
  EXPECT_THAT(sizes_of(spare), testing::UnorderedElementsAre(0, 1, 3));
  EXPECT_THAT(message_of(natural_id(Array()).status()), HasSubstr("natural ids are float32[0]"));
  EXPECT_THAT(message_of(natural_id(Array::zeros(DType::kInt32, {0})).status()),
              HasSubstr("the data set has none"));
}

TEST(MakePartition, TakesTheDataSetsNaturalIds) {
  Dataset data{
      .features = Array::zeros(DType::kFloat32, {6, 1}), .labels = balanced(6, 2), .classes = 2};
  data.natural_ids = Array::of<int32_t>({3, 1, 3, 1, 2, 2});
  const auto partition = or_throw(make_partition(data, {.kind = "natural-id", .clients = 3}));
  EXPECT_THAT(partition.examples(0), UnorderedElementsAre(1, 3));
  EXPECT_THAT(partition.examples(2), UnorderedElementsAre(0, 2));
  EXPECT_EQ(message_of(make_partition(data, {.kind = "natural-id", .clients = 4}).status()),
            "partition: clients is 4, but the data are of 3 natural ids: ask for as many clients, "
            "for 1 that holds everything, or for kind \"grouped-natural-id\"");
  const auto pooled = or_throw(make_partition(data, {.kind = "natural-id", .clients = 1}));
  EXPECT_EQ(pooled.clients(), 1u);
  EXPECT_THAT(pooled.examples(0), UnorderedElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(or_throw(make_partition(data, {.kind = "grouped-natural-id", .clients = 2})).clients(),
            2u);
  data.natural_ids = Array();
  EXPECT_THAT(message_of(make_partition(data, {.kind = "natural-id", .clients = 3}).status()),
              HasSubstr("natural ids are float32[0], expected one for each of 6 examples"));
}

}  // namespace
}  // namespace umbel::data
