#include "umbel/data/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "umbel/base/sha256.h"
#include "umbel/base/statistics_test.h"
#include "umbel/data/generate_normal.h"
#include "umbel/data/generate_sensors.h"

namespace umbel::data {
namespace {

using testing::HasSubstr;
using testing_statistics::Moments;
using testing_statistics::moments_of;

constexpr uint64_t kSeed = 1961;

std::string hash_of(std::initializer_list<const Array*> arrays) {
  Sha256 hash;
  for (const Array* array : arrays) hash.add(array->bytes());
  return hash.hex();
}

std::string hash_of(const Dataset& data) {
  return hash_of({&data.features, &data.labels, &data.natural_ids});
}

// The same on every machine, with every compiler and optimisation: a change of any of these is a
// change of the data that users get from their seeds.
TEST(GenerateGolden, BytesAreWhatTheyWere) {
  const auto line = or_throw(
      linear_regression({.examples = 500, .model_spread = 0.5, .feature_spread = 1, .seed = 7}));
  EXPECT_EQ(hash_of({&line.features, &line.targets, &line.natural_ids, &line.coefficients}),
            "fbb460063f8594897d01db85948be5d3fd26058a84e4adce24e8a56a1d5db6a7");
  EXPECT_EQ(hash_of(or_throw(linear_classes({.examples = 500, .classes = 5, .seed = 7}))),
            "f2c6c12d42381b4f943be7398ec650bf895700ede00f51b88c73c47353aebc43");
  EXPECT_EQ(hash_of(or_throw(blobs({.examples = 500, .client_spread = 0.3, .seed = 7}))),
            "b75260cf21c1b78ae59787496de96943b3199d49d682dff15cc71a2de4cf06a9");
  EXPECT_EQ(hash_of(or_throw(pattern_images({.examples = 100, .client_spread = 0.5, .seed = 7}))),
            "a66be3861fc9d548c0a99f0671bebbcd61065c651dab7a879609f4d9333b575a");
  EXPECT_EQ(hash_of(or_throw(markov_text({.examples = 500, .own = 0.3, .seed = 7}))),
            "9db8bf92d4bfd7dbf59b78e0b9dc9039f87c080d34b4c5cf5e212e05164f9bfc");
  const auto sensors = or_throw(sensor_series({.machines = 5, .seed = 7}));
  EXPECT_EQ(hash_of({&sensors.windows.features, &sensors.windows.labels,
                     &sensors.windows.natural_ids, &sensors.remaining, &sensors.cycles}),
            "57783b209f8c9698177c6607a7012ddc13824561875f8eaaf339483c2c95a7cf");
}

TEST(Generate, EveryDataSetIsOne) {
  for (const Dataset& data : {or_throw(linear_classes({})), or_throw(blobs({})),
                              or_throw(pattern_images({.examples = 100})),
                              or_throw(markov_text({})), or_throw(sensor_series({})).windows}) {
    EXPECT_EQ(message_of(check(data)), "") << data.name;
    EXPECT_EQ(data.natural_ids.size(), data.size()) << data.name;
    const auto labels = data.labels.view<int32_t>();
    EXPECT_EQ(std::set<int32_t>(labels.begin(), labels.end()).size(),
              static_cast<size_t>(data.classes))
        << data.name;
  }
}

// All bytes of `few`, at the beginning of `many`.
bool begins_with(const Array& many, const Array& few) {
  return std::ranges::equal(few.bytes(), many.bytes().first(few.byte_size()));
}

TEST(Generate, FewerExamplesAreTheBeginningOfMore) {
  const auto require = [](const Dataset& many, const Dataset& few) {
    EXPECT_TRUE(begins_with(many.features, few.features)) << many.name;
    EXPECT_TRUE(begins_with(many.labels, few.labels)) << many.name;
    EXPECT_TRUE(begins_with(many.natural_ids, few.natural_ids)) << many.name;
  };
  require(or_throw(linear_classes({.examples = 90})), or_throw(linear_classes({.examples = 7})));
  require(or_throw(blobs({.examples = 90})), or_throw(blobs({.examples = 7})));
  require(or_throw(pattern_images({.examples = 90})), or_throw(pattern_images({.examples = 7})));
  require(or_throw(markov_text({.examples = 90})), or_throw(markov_text({.examples = 7})));
  require(or_throw(sensor_series({.machines = 9})).windows,
          or_throw(sensor_series({.machines = 2})).windows);
}

TEST(Generate, AnotherSeedGivesOtherData) {
  EXPECT_NE(hash_of(or_throw(blobs({.seed = 1}))), hash_of(or_throw(blobs({.seed = 2}))));
  EXPECT_NE(hash_of(or_throw(markov_text({.seed = 1}))),
            hash_of(or_throw(markov_text({.seed = 2}))));
  EXPECT_NE(hash_of(or_throw(pattern_images({.examples = 9, .seed = 1}))),
            hash_of(or_throw(pattern_images({.examples = 9, .seed = 2}))));
}

// Irwin and Hall: of twelve uniform numbers the sum has variance 1 and kurtosis 3 - 6 / (5 * 12).
TEST(GenerateStatistics, NearNormalHasTheMomentsOfItsSum) {
  Rng rng(kSeed);
  std::vector<double> sample(200'000), fourth;
  for (double& x : sample) {
    x = near_normal(rng);
    fourth.push_back(x * x * x * x);
    EXPECT_LE(std::fabs(x), 6);
  }
  const Moments m = moments_of(sample);
  const Moments f = moments_of(fourth);
  EXPECT_NEAR(m.mean, 0, 5 * m.mean_error) << "seed " << kSeed;
  EXPECT_NEAR(m.variance, 1, 5 * m.variance_error) << "seed " << kSeed;
  EXPECT_NEAR(f.mean, 2.9, 5 * f.mean_error) << "seed " << kSeed;
}

// What is left of each target after the common coefficients.
std::vector<double> residuals(const Regression& data) {
  const auto w = data.coefficients.view<float>();
  const auto x = data.features.view<float>();
  const auto y = data.targets.view<float>();
  const size_t width = w.size() - 1;
  std::vector<double> out;
  for (size_t i = 0; i != y.size(); ++i) {
    double score = w[width];
    for (size_t j = 0; j != width; ++j) score += double{w[j]} * x[i * width + j];
    out.push_back(y[i] - score);
  }
  return out;
}

TEST(GenerateStatistics, LinearTargetsLieOnTheLineButForTheNoise) {
  for (const double r : residuals(or_throw(linear_regression({.noise = 0, .seed = kSeed})))) {
    EXPECT_NEAR(r, 0, 1e-5);
  }
  const Moments m =
      moments_of(residuals(or_throw(linear_regression({.noise = 0.5, .seed = kSeed}))));
  EXPECT_NEAR(m.mean, 0, 5 * m.mean_error) << "seed " << kSeed;
  EXPECT_NEAR(m.variance, 0.25, 5 * m.variance_error) << "seed " << kSeed;
}

// A client's departure from the score has variance spread^2 (d + 1) / d over clients and examples:
// with a client for each example these are independent.
TEST(GenerateStatistics, ClientsDepartFromTheLineByTheSpread) {
  const Moments m = moments_of(residuals(or_throw(linear_regression({.examples = 20'000,
                                                                     .features = 4,
                                                                     .clients = 20'000,
                                                                     .noise = 0,
                                                                     .model_spread = 2,
                                                                     .seed = kSeed}))));
  EXPECT_NEAR(m.mean, 0, 5 * m.mean_error) << "seed " << kSeed;
  EXPECT_NEAR(m.variance, 4 * 5.0 / 4, 5 * m.variance_error) << "seed " << kSeed;
}

TEST(GenerateStatistics, ClientsFeaturesHaveMeansOfTheSpread) {
  const auto data = or_throw(linear_regression(
      {.examples = 20'000, .features = 1, .clients = 20'000, .feature_spread = 3, .seed = kSeed}));
  const auto x = data.features.view<float>();
  const Moments m = moments_of(std::vector<double>(x.begin(), x.end()));
  EXPECT_NEAR(m.mean, 0, 5 * m.mean_error);
  EXPECT_NEAR(m.variance, 10, 5 * m.variance_error) << "seed " << kSeed;
}

TEST(GenerateStatistics, BlobsSpreadAroundTheirCentres) {
  const auto data = or_throw(
      blobs({.examples = 30'000, .features = 1, .classes = 3, .spread = 0.5, .seed = kSeed}));
  std::vector<std::vector<double>> points(3);
  for (size_t i = 0; i != 30'000; ++i) {
    points[static_cast<size_t>(data.labels.view<int32_t>()[i])].push_back(
        data.features.view<float>()[i]);
  }
  for (const auto& cloud : points) {
    const Moments m = moments_of(cloud);
    EXPECT_LE(std::fabs(m.mean), 1 + 5 * m.mean_error);
    EXPECT_NEAR(m.variance, 0.25, 5 * m.variance_error) << "seed " << kSeed;
  }
}

// The best correlation of an image with a template, over all shifts up to `reach`.
double best_match(std::span<const uint8_t> image, std::span<const uint8_t> pattern, int reach) {
  double best = -1;
  for (int dy = -reach; dy <= reach; ++dy) {
    for (int dx = -reach; dx <= reach; ++dx) {
      double sum = 0, square = 0, mean = 0;
      for (int row = 0; row != 28; ++row) {
        for (int column = 0; column != 28; ++column) {
          const int y = row - dy, x = column - dx;
          const bool inside = y >= 0 && x >= 0 && y < 28 && x < 28;
          const double p = inside ? pattern[static_cast<size_t>(y * 28 + x)] - 128.0 : 0;
          const double v = image[static_cast<size_t>(row * 28 + column)];
          sum += p * v, square += p * p, mean += p;
        }
      }
      double level = 0;
      for (const uint8_t v : image) level += v / 784.0;
      best = std::max(best, (sum - mean * level) / std::sqrt(square));
    }
  }
  return best;
}

TEST(Generate, ImagesAreTheirClassesPatternsSomewhere) {
  const ImageOptions noisy{.examples = 60, .seed = kSeed};
  const auto clean = or_throw(pattern_images(
      {.examples = 200, .shift_max = 0, .noise = 0, .brightness = 0, .seed = kSeed}));
  std::map<int32_t, std::span<const uint8_t>> templates;
  for (size_t i = 0; i != 200; ++i) {
    templates[clean.labels.view<int32_t>()[i]] =
        clean.features.view<uint8_t>().subspan(i * 784, 784);
  }
  ASSERT_EQ(templates.size(), 10u);
  const auto accuracy = [&](int reach) {
    const auto data = or_throw(pattern_images(noisy));
    int right = 0;
    for (size_t i = 0; i != 60; ++i) {
      const auto image = data.features.view<uint8_t>().subspan(i * 784, 784);
      const auto match = [&](const auto& a, const auto& b) {
        return best_match(image, a.second, reach) < best_match(image, b.second, reach);
      };
      right += std::ranges::max_element(templates, match)->first == data.labels.view<int32_t>()[i];
    }
    return right / 60.0;
  };
  EXPECT_GE(accuracy(4), 0.95);  // who looks for the pattern finds it
  EXPECT_LE(accuracy(0), 0.80);  // who looks in one place does not
}

// Symbols guessed by what most often followed the same two in the other half of the text.
double guessed(const MarkovTextOptions& options) {
  const auto data = or_throw(markov_text(options));
  const auto text = data.features.view<uint8_t>();
  std::map<int, std::map<int, int>> seen;
  int right = 0, asked = 0;
  for (size_t i = 0; i != options.examples; ++i) {
    const auto line = text.subspan(i * options.length, options.length);
    for (size_t j = 2; j != line.size(); ++j) {
      auto& following = seen[line[j - 2] * 256 + line[j - 1]];
      if (2 * i < options.examples) {
        ++following[line[j]];
      } else {
        const auto best = std::ranges::max_element(
            following, [](const auto& a, const auto& b) { return a.second < b.second; });
        right += best != following.end() && best->first == line[j];
        ++asked;
      }
    }
  }
  return static_cast<double>(right) / asked;
}

TEST(GenerateStatistics, TextIsGuessedAsOftenAsItsSourceAllows) {
  const MarkovTextOptions options{.examples = 20'000, .alphabet = 8, .seed = kSeed};
  // 64 contexts, in each of which the favourite may be another favourite as well.
  EXPECT_NEAR(guessed(options), 0.5 + 0.5 / 8, 0.04) << "seed " << kSeed;
  MarkovTextOptions torn = options;
  torn.own = 1;  // every speaker has a way of its own: together they can hardly be guessed
  EXPECT_LT(guessed(torn), 0.40) << "seed " << kSeed;
}

// Without noise a machine that fails reads gain + load, the same for each machine: three values.
TEST(Generate, MachinesFailWhenTheyAreWornOut) {
  const SensorOptions options{.machines = 40,
                              .channels = 2,
                              .window = 1,
                              .stride = 1,
                              .noise = 0,
                              .machine_spread = 0,
                              .seed = kSeed};
  const auto series = or_throw(sensor_series(options));
  std::set<float> ends;
  std::map<int32_t, int32_t> lives;
  for (size_t i = 0; i != static_cast<size_t>(series.windows.size()); ++i) {
    const float left = series.remaining.view<float>()[i];
    EXPECT_EQ(series.windows.labels.view<int32_t>()[i], left <= 30 ? 1 : 0);
    const int32_t cycle = series.cycles.view<int32_t>()[i];
    const auto [life, fresh] = lives.try_emplace(series.windows.natural_ids.view<int32_t>()[i],
                                                 cycle + static_cast<int32_t>(left));
    EXPECT_EQ(life->second, cycle + static_cast<int32_t>(left));
    if (left == 0) ends.insert(series.windows.features.view<float>()[2 * i]);
  }
  EXPECT_EQ(lives.size(), 40u);
  EXPECT_EQ(ends.size(), 3u);
  for (const auto& [id, life] : lives) {
    EXPECT_GE(life, 100);
    EXPECT_LE(life, 300);
  }
}

TEST(Generate, ErrorsNameGeneratorAndOption) {
  EXPECT_EQ(message_of(blobs({.examples = 0}).status()),
            "generator blobs: examples is 0, expected 1 to 4294967295");
  EXPECT_EQ(message_of(blobs({.spread = -1}).status()),
            "generator blobs: spread is -1, expected a number from 0 to 1000000");
  EXPECT_THAT(message_of(blobs({.client_spread = std::nan("")}).status()),
              HasSubstr("client-spread is nan"));
  EXPECT_THAT(message_of(linear_classes({.classes = 1}).status()), HasSubstr("classes is 1"));
  EXPECT_THAT(message_of(linear_regression({.features = 0}).status()), HasSubstr("features is 0"));
  EXPECT_THAT(message_of(pattern_images({.shift_max = 8}).status()),
              HasSubstr("shift-max is 8, expected 0 to 7"));
  EXPECT_THAT(message_of(pattern_images({.side = 7}).status()), HasSubstr("side is 7"));
  EXPECT_THAT(message_of(markov_text({.alphabet = 257}).status()), HasSubstr("alphabet is 257"));
  EXPECT_THAT(message_of(markov_text({.clients = 0}).status()), HasSubstr("clients is 0"));
  EXPECT_THAT(message_of(sensor_series({.window = 101}).status()),
              HasSubstr("window is 101, expected 1 to 100"));
  EXPECT_THAT(message_of(sensor_series({.life_min = 400}).status()), HasSubstr("life-min is 400"));
}

TEST(Generate, MoreThanTheLimitIsRefusedBeforeItIsAllocated) {
  const auto status = blobs({.examples = 4'000'000'000, .features = 2}).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(message_of(status), HasSubstr("4000000000 examples of 2 numbers, the limit is"));
  EXPECT_TRUE(absl::IsResourceExhausted(
      sensor_series({.machines = 2'000'000'000, .channels = 1024}).status()));
}

}  // namespace
}  // namespace umbel::data
