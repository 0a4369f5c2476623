// The laws of weighted_mean.h: the same bytes in any order, and what is refused leaves no trace.

#include "umbel/aggregate/weighted_mean.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <numeric>

#include "umbel/aggregate/exact_mean_test.h"

namespace umbel::aggregate {
namespace {

using ::testing::HasSubstr;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Updates of four tensors that need many columns: of every magnitude and several dtypes.
struct Federation {
  std::vector<ArrayRecord> updates;
  std::vector<double> weights;
};
Federation federation(uint64_t seed, size_t clients, int64_t elements = 2 * 2048 + 300) {
  Rng rng(seed);
  Federation all;
  for (size_t k = 0; k != clients; ++k) {
    std::vector<float> floats(static_cast<size_t>(elements));
    std::vector<double> doubles(19);
    std::vector<Bfloat16> halves(33);
    std::vector<int64_t> integers(7);
    const int size = static_cast<int>(rng.below(250)) - 140;
    for (float& x : floats) {
      x = static_cast<float>(std::ldexp(rng.normal(), rng.below(3) ? size : -149));
    }
    for (double& x : doubles) x = std::ldexp(rng.normal(), 6 * size);
    for (Bfloat16& x : halves) x = to_bfloat16(rng.normal());
    for (int64_t& x : integers) x = static_cast<int64_t>(rng.bits());
    all.updates.push_back({{"a", Array::copy_of<float>(floats, {elements})},
                           {"b", Array::copy_of<double>(doubles, {19})},
                           {"c", Array::copy_of<Bfloat16>(halves, {3, 11})},
                           {"d", Array::copy_of<int64_t>(integers, {7})},
                           {"none", Array::zeros(DType::kFloat32, {0, 4})}});
    all.weights.push_back(rng.below(2) ? static_cast<double>(1 + rng.below(1 << 29))
                                       : 1e-3 + rng.uniform());
  }
  return all;
}

void add_all(WeightedMean& mean, std::span<const Addend> addends, Parallel& parallel) {
  for (const Status& status : mean.add(addends, parallel)) ASSERT_TRUE(status.ok()) << status;
}

TEST(WeightedMeanTest, AThousandOrdersThreadsAndMergeTreesGiveTheSameBytes) {
  const Federation all = federation(1, 14, 2048 + 100);
  std::vector<Addend> addends = addends_of(all.updates, all.weights);
  Serial serial;
  const ArrayRecord expected = *weighted_mean(addends, serial);
  std::vector<std::unique_ptr<ThreadTeam>> teams;
  for (size_t threads = 1; threads <= 8; ++threads)
    teams.push_back(std::make_unique<ThreadTeam>(threads));
  Rng rng(2);
  for (int order = 0; order != 1000; ++order) {
    rng.shuffle(std::span(addends));
    Parallel& team = *teams[rng.below(teams.size())];
    const DenormalMode mode(order % 2 ? DenormalMode::kFlush : DenormalMode::kExact);
    std::vector<WeightedMean> parts(1 + rng.below(5), WeightedMean(all.updates[0]));
    size_t at = 0;
    while (at != addends.size()) {
      const size_t count = 1 + rng.below(addends.size() - at);
      add_all(parts[rng.below(parts.size())], std::span(addends).subspan(at, count), team);
      at += count;
    }
    while (parts.size() > 1) {  // a random tree
      const size_t from = rng.below(parts.size());
      const size_t to = (from + 1 + rng.below(parts.size() - 1)) % parts.size();
      parts[to].merge(parts[from]);
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(from));
    }
    ASSERT_EQ(parts[0].count(), addends.size());
    ASSERT_TRUE(same_bytes(*parts[0].finish(team), expected)) << "order " << order;
    ASSERT_TRUE(same_bytes(*weighted_mean(addends, team), expected)) << "order " << order;
  }
}

TEST(WeightedMeanTest, ScalingByAGridStepScalesTheResultExactly) {
  Rng rng(3);
  Serial serial;
  for (const double scale : {0x1p8, 0x1p-16, 0x1p40}) {
    std::vector<ArrayRecord> updates;
    std::vector<ArrayRecord> scaled;
    for (int k = 0; k != 5; ++k) {
      updates.push_back(record_of(DType::kFloat32, 500, [&](size_t) { return rng.normal(); }));
      scaled.push_back(record_of(
          DType::kFloat32, 500, [&](size_t i) { return scale * real_of(updates.back()["w"], i); }));
    }
    const std::vector<double> weights{1, 20, 300, 4000, 50000};
    const ArrayRecord mean = *weighted_mean(addends_of(updates, weights), serial);
    const ArrayRecord other = *weighted_mean(addends_of(scaled, weights), serial);
    for (size_t i = 0; i != 500; ++i)
      ASSERT_EQ(scale * real_of(mean["w"], i), real_of(other["w"], i));
  }
}

RC_GTEST_PROP(WeightedMeanTest, IdenticalUpdatesComeBackBitForBit, (uint64_t seed)) {
  Rng rng(seed);
  Serial serial;
  const DType types[] = {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kComplex64};
  const DType dtype = types[rng.below(4)];
  const size_t clients = 1 + rng.below(40);
  // Of a magnitude within 2^15 of the largest: nothing lies below the grid.
  const ArrayRecord update = record_of(dtype, 24, [&](size_t) {
    return std::ldexp(1 + rng.uniform(), -static_cast<int>(rng.below(15)));
  });
  std::vector<double> weights(clients);
  for (double& weight : weights)
    weight = rng.below(2) ? static_cast<double>(1 + rng.below(1 << 29)) : 0.1 + rng.uniform();
  const std::vector<ArrayRecord> updates(clients, update);
  RC_ASSERT(same_bytes(*weighted_mean(addends_of(updates, weights), serial), update));
}

// What must leave no trace: bad in its last block, or of another layout, or badly weighted.
std::vector<ArrayRecord> bad_updates(const Federation& all) {
  std::vector<ArrayRecord> bad;
  for (const float poison : {kNaN, std::numeric_limits<float>::infinity()}) {
    ArrayRecord huge = all.updates[0];
    std::span<float> a = huge["a"].mutable_view<float>();
    std::ranges::fill(a, std::numeric_limits<float>::max());
    for (double& x : huge["b"].mutable_view<double>()) x = std::numeric_limits<double>::max();
    a.back() = poison;
    bad.push_back(huge);
    ArrayRecord tiny = all.updates[1];
    std::ranges::fill(tiny["a"].mutable_view<float>(), 0x1p-149f);
    tiny["a"].mutable_view<float>()[3000] = poison;
    bad.push_back(tiny);
    ArrayRecord late = all.updates[2];
    late["b"].mutable_view<double>()[18] = -static_cast<double>(poison);
    bad.push_back(late);
    ArrayRecord half = all.updates[2];
    half["c"].mutable_view<Bfloat16>()[0] = to_bfloat16(poison);
    bad.push_back(half);
  }
  return bad;
}

TEST(WeightedMeanTest, RefusedAddendsLeaveNoTrace) {
  const Federation all = federation(4, 9);
  const std::vector<ArrayRecord> bad = bad_updates(all);
  const ArrayRecord other{{"w", Array::of<float>({1})}};
  Serial serial;
  ThreadTeam team(3);
  const std::vector<Addend> good = addends_of(all.updates, all.weights);
  const ArrayRecord expected = *weighted_mean(good, serial);
  Rng rng(5);
  for (int order = 0; order != 60; ++order) {
    std::vector<Addend> mixed = good;
    for (const ArrayRecord& update : bad) mixed.push_back({&update, rng.below(2) ? 3.0 : 0.7});
    mixed.push_back({&other, 1});
    for (const double weight : {0.0, -1.0, 0x1p-1001, 0x1p1000, HUGE_VAL, std::nan("")})
      mixed.push_back({&all.updates[0], weight});
    rng.shuffle(std::span(mixed));
    WeightedMean mean(all.updates[0]);
    Parallel& parallel = order % 2 ? static_cast<Parallel&>(team) : serial;
    std::vector<Status> statuses;
    for (size_t at = 0; at != mixed.size();) {
      const size_t count = 1 + rng.below(mixed.size() - at);
      std::ranges::move(mean.add(std::span(mixed).subspan(at, count), parallel),
                        std::back_inserter(statuses));
      at += count;
    }
    ASSERT_EQ(mean.count(), good.size());
    for (size_t k = 0; k != mixed.size(); ++k) {
      const bool is_good = std::ranges::any_of(good, [&](const Addend& g) {
        return g.arrays == mixed[k].arrays && g.weight == mixed[k].weight;
      });
      ASSERT_EQ(statuses[k].ok(), is_good) << statuses[k];
    }
    ASSERT_TRUE(same_bytes(*mean.finish(parallel), expected)) << "order " << order;
  }
}

TEST(WeightedMeanTest, RefusalsNameArrayElementAndFact) {
  const ArrayRecord model{{"w", Array::of<float>({1, 2})}, {"z", Array::of<double>({1e300, 2})}};
  ArrayRecord bad = model;
  bad["z"].mutable_view<double>()[1] = -HUGE_VAL;
  Serial serial;
  WeightedMean mean(model);
  const std::vector<Addend> addends{{&bad, 1}, {&model, -2}, {&model, 3}};
  const std::vector<Status> statuses = mean.add(addends, serial);
  EXPECT_THAT(message_of(statuses[0]),
              HasSubstr("array \"z\": element 1 is -inf, expected a finite number"));
  EXPECT_THAT(message_of(statuses[1]), HasSubstr("weight is -2, expected a positive number"));
  EXPECT_TRUE(statuses[2].ok());
  EXPECT_THAT(message_of(weighted_mean(addends, serial).status()), HasSubstr("update 1: weight"));
  EXPECT_THAT(message_of(weighted_mean(std::span(addends).first(1), serial).status()),
              HasSubstr("update 0: array \"z\""));
}

TEST(WeightedMeanTest, TheFirstBadUpdateIsNamedOnAnyNumberOfThreads) {
  const int64_t n = 200 * static_cast<int64_t>(BlockSum::kElements);
  const ArrayRecord good{{"w", Array::zeros(DType::kFloat32, {n})}};
  std::vector<ArrayRecord> updates(6, good);
  for (size_t k = 2; k != 6; ++k) {  // the first bad one is seen last
    updates[k]["w"].mutable_view<float>()[static_cast<size_t>(n) * (6 - k) / 5] = kNaN;
  }
  ThreadTeam team(4);
  for (int i = 0; i != 20; ++i) {
    const auto addends = addends_of(updates, std::vector<double>(6, 1));
    EXPECT_THAT(message_of(weighted_mean(addends, team).status()), HasSubstr("update 2"));
  }
}

TEST(WeightedMeanTest, NothingAddedIsAnError) {
  const ArrayRecord model{{"w", Array::of<float>({1, 2})}};
  Serial serial;
  EXPECT_TRUE(absl::IsFailedPrecondition(WeightedMean(model).finish(serial).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(weighted_mean({}, serial).status()));
}

// Sums of more products than 64 bits of carries hold: exact, in constant memory.
TEST(WeightedMeanTest, HundredsOfThousandsOfAddendsStayExactInConstantMemory) {
  Serial serial;
  const float most = std::nextafter(1.0f, 0.0f);
  const ArrayRecord a{{"w", Array::of<float>({most, -most, 0x1p-20f, most})}};
  const ArrayRecord b{{"w", Array::of<float>({most, -most, -0x1p-20f, -most})}};
  constexpr double kWeight = (1 << 29) - 1;
  std::vector<Addend> addends(32, {&a, kWeight});
  WeightedMean mean(a);
  add_all(mean, addends, serial);
  const size_t bytes = mean.byte_size();
  for (int i = 1; i != 10000; ++i) add_all(mean, addends, serial);
  EXPECT_LE(mean.byte_size(), 2 * bytes);
  EXPECT_EQ((*mean.finish(serial))["w"], a["w"]);
  const std::vector<Addend> against(32, {&b, kWeight});
  WeightedMean second(a);
  for (int i = 0; i != 10000; ++i) add_all(second, against, serial);
  mean.merge(second);
  EXPECT_EQ(mean.count(), 640000u);
  EXPECT_EQ((*mean.finish(serial))["w"], Array::of<float>({most, -most, 0, 0}));
  EXPECT_LE(mean.byte_size(), 2 * bytes);
}

TEST(WeightedMeanTest, MemoryDoesNotGrowWithAddendsOfAnyMagnitude) {
  Serial serial;
  const size_t n = BlockSum::kElements;
  WeightedMean mean(record_of(DType::kFloat32, n, [](size_t) { return 0; }));
  Rng rng(6);
  for (int k = 0; k != 2000; ++k) {
    const int exponent = static_cast<int>(rng.below(276)) - 149;
    const ArrayRecord update =
        record_of(DType::kFloat32, n, [&](size_t) { return std::ldexp(1.0, exponent); });
    const Addend addend{&update, static_cast<double>(1 + rng.below(1 << 28))};
    add_all(mean, {&addend, 1}, serial);
  }
  EXPECT_LE(mean.byte_size(), 17 * 12 * n + 8192);
}

// The vector loop and the general path may round a near-tie differently, so what was refused must
// not choose between them.
TEST(WeightedMeanTest, RefusedAddendsLeaveNoTraceAmongSoManyThatSumsSpill) {
  Serial serial;
  constexpr size_t kClients = (1 << 16) - 4;
  Rng rng(7);
  const int64_t n = static_cast<int64_t>(BlockSum::kElements) + 1;
  const ArrayRecord update{{"w", Array::copy_of<float>(
                                     [&] {
                                       std::vector<float> x(static_cast<size_t>(n));
                                       for (float& v : x) v = static_cast<float>(rng.normal());
                                       return x;
                                     }(),
                                     {n})}};
  ArrayRecord bad = update;
  bad["w"].mutable_view<float>().back() = kNaN;
  WeightedMean clean(update);
  const std::vector<Addend> many(32, {&update, 3});
  for (size_t k = 0; k != kClients / 32; ++k) add_all(clean, many, serial);
  add_all(clean, std::span(many).first(kClients % 32), serial);
  WeightedMean disturbed = clean;
  const std::vector<Addend> refused(16, {&bad, 5});
  for (const Status& status : disturbed.add(refused, serial)) ASSERT_FALSE(status.ok());
  EXPECT_TRUE(same_bytes(*clean.finish(serial), *disturbed.finish(serial)));
  const Addend last{&update, 0x1p28};
  for (WeightedMean* mean : {&clean, &disturbed}) add_all(*mean, {&last, 1}, serial);
  EXPECT_TRUE(same_bytes(*clean.finish(serial), *disturbed.finish(serial)));
}

TEST(WeightedMeanTest, BothDenormalModesOfTheCallerGiveTheSameBytes) {
  const ArrayRecord tiny{{"w", Array::of<float>({0x1p-149f, 0x1p-130f, 0x1p-126f})},
                         {"h", Array::of<Bfloat16>({static_cast<Bfloat16>(1)})}};
  const std::vector<Addend> addends{{&tiny, 1}, {&tiny, 2.5}, {&tiny, 7}};
  Serial serial;
  for (const auto mode : {DenormalMode::kFlush, DenormalMode::kExact}) {
    const DenormalMode set(mode);
    EXPECT_TRUE(same_bytes(*weighted_mean(addends, serial), tiny));
  }
}

}  // namespace
}  // namespace umbel::aggregate
