// The error promise of weighted_mean.h, against exact rational arithmetic.

#include "umbel/aggregate/exact_mean_test.h"

#include <rapidcheck/gtest.h>

namespace umbel::aggregate {
namespace {

constexpr DType kReals[] = {DType::kFloat32,  DType::kFloat64,   DType::kFloat16,
                            DType::kBfloat16, DType::kComplex64, DType::kComplex128};

enum class Data {
  kNormal,
  kLogUniform,
  kCancelling,
  kDenormals,
  kDenormalsBesideLarge,
  kOutlier,
  kRange,
};
enum class Weights { kOne, kExamples, kReal, kExtreme };

int least_exponent(DType dtype) { return std::ilogb(bound_of(dtype).smallest); }
int greatest_exponent(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
      return 15;
    case DType::kFloat64:
    case DType::kComplex128:
      return 1022;
    default:
      return 126;
  }
}

double sign(Rng& rng) { return rng.below(2) ? -1 : 1; }
double of_exponent(Rng& rng, int exponent) {
  return sign(rng) * std::ldexp(1 + rng.uniform(), exponent);
}

double draw(Rng& rng, Data data, DType dtype, size_t k) {
  const int least = least_exponent(dtype);
  const int most = greatest_exponent(dtype);
  switch (data) {
    case Data::kNormal:
      return rng.normal();
    case Data::kLogUniform:
      return of_exponent(rng,
                         least + static_cast<int>(rng.below(static_cast<uint64_t>(most - least))));
    case Data::kCancelling:
      return rng.normal();
    case Data::kDenormals:
      return sign(rng) * static_cast<double>(rng.below(64)) * bound_of(dtype).smallest;
    case Data::kDenormalsBesideLarge:
      return rng.below(2)
                 ? sign(rng) * static_cast<double>(rng.below(64)) * bound_of(dtype).smallest
                 : rng.normal();
    case Data::kOutlier:
      return k == 3 ? of_exponent(rng, most - 1) : rng.normal();
    case Data::kRange:
      return of_exponent(rng, -static_cast<int>(rng.below(60)));
  }
  return 0;
}

double draw_weight(Rng& rng, Weights weights) {
  switch (weights) {
    case Weights::kOne:
      return 1;
    case Weights::kExamples:
      return static_cast<double>(1 + rng.below((1 << 29) - 1));
    case Weights::kReal:
      return 0.001 + rng.uniform() * 100;
    case Weights::kExtreme:
      return std::ldexp(1 + rng.uniform(), static_cast<int>(rng.below(1955)) - 997);
  }
  return 1;
}

using Parameters = std::tuple<DType, Data, Weights>;
class ErrorTest : public ::testing::TestWithParam<Parameters> {};

TEST_P(ErrorTest, IsWithinThePromiseAgainstRationals) {
  const DType dtype = std::get<DType>(GetParam());
  const Data data = std::get<Data>(GetParam());
  const Weights weights = std::get<Weights>(GetParam());
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Rng rng(seed);
    const size_t clients = 2 * (2 + rng.below(5));
    const size_t reals = 2 * (1 + rng.below(40));
    std::vector<ArrayRecord> updates;
    std::vector<double> w;
    for (size_t k = 0; k != clients; ++k) {
      updates.push_back(record_of(dtype, reals, [&](size_t) { return draw(rng, data, dtype, k); }));
      w.push_back(draw_weight(rng, weights));
    }
    if (data == Data::kCancelling) {  // pairs of x and -x, but for a tiny rest
      for (size_t k = 0; k + 1 < clients; k += 2) {
        updates[k + 1] = record_of(dtype, reals, [&](size_t i) {
          return -real_of(updates[k].entry(0).second, i) * (rng.below(2) ? 1 : 1 + 0x1p-20);
        });
        w[k + 1] = w[k];
      }
    }
    expect_within_bound(updates, w);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ErrorTest,
                         ::testing::Combine(::testing::ValuesIn(kReals),
                                            ::testing::Values(Data::kNormal, Data::kLogUniform,
                                                              Data::kCancelling, Data::kDenormals,
                                                              Data::kDenormalsBesideLarge,
                                                              Data::kOutlier, Data::kRange),
                                            ::testing::Values(Weights::kOne, Weights::kExamples,
                                                              Weights::kReal, Weights::kExtreme)));

// Elements all but half way between two floats, where both terms of the bound are equal: any
// rounding before the last would show.
TEST(ErrorCasesTest, HoldsForNearTiesAtTheCrossingOfBothTerms) {
  Rng rng(7);
  for (int round = 0; round != 300; ++round) {
    const int crossing = -20 - static_cast<int>(rng.below(5));
    const double weight = static_cast<double>(1 + rng.below((1 << 28)));
    const double largest = 1 + (rng.below(2) ? 0 : static_cast<double>(rng.below(64)) * 0x1p-23);
    // a has weight w, b has weight 2^s: the mean is about a + a 2^-24, near the tie above a.
    std::vector<ArrayRecord> updates;
    for (int k = 0; k != 3; ++k) {
      updates.push_back(record_of(DType::kFloat32, 33, [&](size_t i) {
        if (i == 0) return k == 0 ? largest : 0.0;
        const double a = std::ldexp(1.0 + static_cast<double>(rng.below(4)) * 0x1p-23, crossing);
        if (k == 0) return a;
        if (k == 1) return a * (1 + 0x1p-23);
        return a * (1 + 0x1p-24) + std::ldexp(rng.normal(), crossing - 45);
      }));
    }
    expect_within_bound(updates, {weight, weight, static_cast<double>(1 + rng.below(3))});
    expect_within_bound(updates, {weight / 3, weight / 3, 1e-9 * weight});
    if (HasFatalFailure()) return;
  }
}

TEST(ErrorCasesTest, TheLargestMagnitudeIsTheTensorsNotTheBlocks) {
  Rng rng(8);
  std::vector<ArrayRecord> updates;
  for (int k = 0; k != 3; ++k) {
    updates.push_back(record_of(DType::kFloat32, BlockSum::kElements * 2 + 17, [&](size_t i) {
      return std::ldexp(rng.normal(), i < BlockSum::kElements ? 0 : -60);
    }));
  }
  expect_within_bound(updates, {3, 100, 12345});
}

// float32 and float64 of the whole range, weights of every kind, numbers of clients that fill one
// call and more.
RC_GTEST_PROP(ErrorCasesTest, HoldsForMixturesOfEverything, (uint64_t seed)) {
  Rng rng(seed);
  const DType dtype = kReals[rng.below(std::size(kReals))];
  const size_t clients = 1 + rng.below(70);
  std::vector<ArrayRecord> updates;
  std::vector<double> weights;
  for (size_t k = 0; k != clients; ++k) {
    const auto data = static_cast<Data>(rng.below(7));
    updates.push_back(record_of(dtype, 4, [&](size_t) { return draw(rng, data, dtype, k); }));
    weights.push_back(draw_weight(rng, static_cast<Weights>(rng.below(4))));
  }
  expect_within_bound(updates, weights);
  RC_ASSERT(!::testing::Test::HasFatalFailure());
}

template <class T>
void expect_nearest_integers(uint64_t seed, bool whole_weights) {
  Rng rng(seed);
  Serial serial;
  const size_t clients = 1 + rng.below(9);
  std::vector<ArrayRecord> updates;
  std::vector<double> weights;
  mpq_class total = 0;
  for (size_t k = 0; k != clients; ++k) {
    std::vector<T> x(50);
    for (T& value : x) {
      value = static_cast<T>(rng.bits());
      if (rng.below(4) == 0) value = std::numeric_limits<T>::max();
      if (rng.below(4) == 0) value = static_cast<T>(rng.below(4));
      if (rng.below(8) == 0) value = std::numeric_limits<T>::min();
    }
    updates.push_back({{"n", Array::copy_of<T>(x, {50})}});
    weights.push_back(whole_weights ? static_cast<double>(1 + rng.below(rng.below(2) ? 3 : 1 << 28))
                                    : 0.5 + rng.uniform());
    total += mpq_class(weights.back());
  }
  const Result<ArrayRecord> mean = weighted_mean(addends_of(updates, weights), serial);
  ASSERT_TRUE(mean.ok());
  const auto as_integer = [](T value) { return mpq_class(std::to_string(value)); };
  for (size_t i = 0; i != 50; ++i) {
    mpq_class sum = 0;
    mpq_class largest = 0;
    for (size_t k = 0; k != clients; ++k) {
      const mpq_class x = as_integer(updates[k]["n"].template view<T>()[i]);
      sum += mpq_class(weights[k]) * x;
      largest = std::max(largest, mpq_class(abs(x)));
    }
    const mpq_class exact = sum / total;
    const mpq_class result = as_integer((*mean)["n"].template view<T>()[i]);
    const mpq_class error = abs(result - exact);
    const mpq_class half(1, 2);
    if (!whole_weights) {
      const mpq_class most = as_integer(std::numeric_limits<T>::max());
      ASSERT_TRUE(error <= half + most * mpq_class(0x1p-69)) << exact.get_d();
      continue;
    }
    ASSERT_TRUE(error <= half) << "nearest to " << exact.get_d();
    if (error == half) {
      ASSERT_EQ(mpz_class(result.get_num() % 2), 0) << "ties go to even";
    }
  }
}

template <class T>
class IntegerTest : public ::testing::Test {};
using Integers =
    ::testing::Types<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;
TYPED_TEST_SUITE(IntegerTest, Integers);

TYPED_TEST(IntegerTest, IsTheNearestIntegerTiesToEven) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    expect_nearest_integers<TypeParam>(seed, true);
    expect_nearest_integers<TypeParam>(seed, false);
    if (this->HasFatalFailure()) return;
  }
}

// (5w + 6) / (2w + 2) is 2^-55 above 2.5: closer to the tie than a double can say.
TEST(IntegerCasesTest, AHairBesideATieIsNoTie) {
  Serial serial;
  const ArrayRecord two{{"n", Array::of<int64_t>({2, 3})}};
  const ArrayRecord three{{"n", Array::of<int64_t>({3, 4})}};
  constexpr double kWeight = 0x1p53;
  const std::vector<Addend> above{{&two, kWeight}, {&three, kWeight + 2}};
  const std::vector<Addend> below{{&two, kWeight + 2}, {&three, kWeight}};
  const std::vector<Addend> tied{{&two, kWeight}, {&three, kWeight}};
  EXPECT_TRUE((*weighted_mean(above, serial))["n"] == Array::of<int64_t>({3, 4}));
  EXPECT_TRUE((*weighted_mean(below, serial))["n"] == Array::of<int64_t>({2, 3}));
  EXPECT_TRUE((*weighted_mean(tied, serial))["n"] == Array::of<int64_t>({2, 4}));
}

TEST(IntegerCasesTest, BoolTakesTheSideOfMoreThanHalfOfTheWeight) {
  Serial serial;
  const ArrayRecord a{{"b", Array::of<bool>({true, true, false, false})}};
  const ArrayRecord b{{"b", Array::of<bool>({true, false, true, false})}};
  const std::vector<Addend> even{{&a, 2}, {&b, 2}};
  const std::vector<Addend> uneven{{&a, 3}, {&b, 2}};
  EXPECT_EQ((*weighted_mean(even, serial))["b"], Array::of<bool>({true, false, false, false}));
  EXPECT_EQ((*weighted_mean(uneven, serial))["b"], Array::of<bool>({true, true, false, false}));
}

}  // namespace
}  // namespace umbel::aggregate
