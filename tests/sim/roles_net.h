#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "umbel/base/rng.h"
#include "umbel/record/record.h"

// A small network on examples drawn for each client, for tests of what roles do.
namespace umbel {

inline constexpr size_t kFeatures = 6;
inline constexpr size_t kHidden = 12;
inline constexpr size_t kClasses = 4;

// One client's examples: the classes' centres are everybody's.  `part` tells what it trains on from
// what it is tested on.  Permuted: the client has names of its own for the classes.  Shifted: its
// scanner has a scale and an offset of its own for each feature.
class Examples {
 public:
  Examples(uint64_t client, uint64_t part, bool permuted, bool shifted) {
    Rng all(derive_seed(5, "centres"));
    std::array<std::array<double, kFeatures>, kClasses> centres;
    for (auto& centre : centres) {
      for (double& x : centre) x = 2 * all.normal();
    }
    Rng own(derive_seed(6, {client}));
    std::array<uint32_t, kClasses> names;
    std::iota(names.begin(), names.end(), 0u);
    if (permuted) own.shuffle(std::span<uint32_t>(names));
    std::array<double, kFeatures> scale;
    std::array<double, kFeatures> offset;
    for (size_t j = 0; j != kFeatures; ++j) {
      scale[j] = shifted ? std::exp(own.normal()) : 1;
      offset[j] = shifted ? 6 * own.normal() : 0;
    }
    Rng draw(derive_seed(7, {client, part}));
    for (size_t i = 0; i != size(); ++i) {
      const uint64_t label = draw.below(kClasses);
      labels_.push_back(names[label]);
      for (size_t j = 0; j != kFeatures; ++j) {
        features_.push_back(scale[j] * (centres[label][j] + draw.normal()) + offset[j]);
      }
    }
  }

  static size_t size() { return 80; }
  std::span<const double> features(size_t i) const {
    return std::span(features_).subspan(i * kFeatures, kFeatures);
  }
  uint32_t label(size_t i) const { return labels_[i]; }

 private:
  std::vector<double> features_;
  std::vector<uint32_t> labels_;
};

// Features, normalised; one hidden layer of tanh; softmax.  Its tensors: norm.mean, norm.variance,
// body.weight, head.weight, head.bias.
class Net {
 public:
  explicit Net(ArrayRecord arrays) : arrays_(std::move(arrays)) {}

  static ArrayRecord initial(uint64_t seed) {
    Rng rng(seed);
    const auto drawn = [&rng](Shape shape) {
      Array array = Array::zeros(DType::kFloat32, std::move(shape));
      for (float& x : array.mutable_view<float>()) x = static_cast<float>(0.3 * rng.normal());
      return array;
    };
    const auto count = [](size_t n) { return static_cast<int64_t>(n); };
    Array ones = Array::zeros(DType::kFloat32, {count(kFeatures)});
    std::ranges::fill(ones.mutable_view<float>(), 1.0F);
    return {{"norm.mean", Array::zeros(DType::kFloat32, {count(kFeatures)})},
            {"norm.variance", ones},
            {"body.weight", drawn({count(kFeatures), count(kHidden)})},
            {"head.weight", drawn({count(kHidden), count(kClasses)})},
            {"head.bias", Array::zeros(DType::kFloat32, {count(kClasses)})}};
  }

  ArrayRecord arrays() const { return arrays_; }

  // An epoch of stochastic gradient descent; the norms become those of the examples.
  void train(const Examples& examples, Rng& rng) {
    measure(examples);
    std::vector<size_t> order(examples.size());
    std::iota(order.begin(), order.end(), size_t{0});
    rng.shuffle(std::span(order));
    for (const size_t i : order) step(examples.features(i), examples.label(i));
  }

  double accuracy(const Examples& examples) const {
    size_t correct = 0;
    for (size_t i = 0; i != examples.size(); ++i) {
      const Pass pass = forward(examples.features(i));
      const auto best = std::ranges::max_element(pass.shares) - pass.shares.begin();
      correct += static_cast<uint32_t>(best) == examples.label(i) ? 1 : 0;
    }
    return static_cast<double>(correct) / static_cast<double>(examples.size());
  }

 private:
  struct Pass {
    std::array<double, kFeatures> inputs{};
    std::array<double, kHidden> hidden{};
    std::array<double, kClasses> shares{};
  };

  std::span<const float> view(const char* name) const { return arrays_[name].view<float>(); }

  void measure(const Examples& examples) {
    const auto count = static_cast<double>(examples.size());
    const auto means = arrays_["norm.mean"].mutable_view<float>();
    const auto variances = arrays_["norm.variance"].mutable_view<float>();
    for (size_t j = 0; j != kFeatures; ++j) {
      double sum = 0;
      double squares = 0;
      for (size_t i = 0; i != examples.size(); ++i) {
        sum += examples.features(i)[j];
        squares += examples.features(i)[j] * examples.features(i)[j];
      }
      means[j] = static_cast<float>(sum / count);
      variances[j] = static_cast<float>(squares / count - sum / count * sum / count);
    }
  }

  Pass forward(std::span<const double> features) const {
    Pass pass;
    const auto means = view("norm.mean");
    const auto variances = view("norm.variance");
    for (size_t j = 0; j != kFeatures; ++j) {
      pass.inputs[j] = (features[j] - means[j]) / std::sqrt(variances[j] + 1e-5);
    }
    const auto body = view("body.weight");
    for (size_t h = 0; h != kHidden; ++h) {
      double sum = 0;
      for (size_t j = 0; j != kFeatures; ++j) sum += pass.inputs[j] * body[j * kHidden + h];
      pass.hidden[h] = std::tanh(sum);
    }
    const auto head = view("head.weight");
    double total = 0;
    for (size_t c = 0; c != kClasses; ++c) {
      double sum = view("head.bias")[c];
      for (size_t h = 0; h != kHidden; ++h) sum += pass.hidden[h] * head[h * kClasses + c];
      total += pass.shares[c] = std::exp(sum);
    }
    for (double& share : pass.shares) share /= total;
    return pass;
  }

  void step(std::span<const double> features, uint32_t label) {
    constexpr double kRate = 0.1;
    const Pass pass = forward(features);
    const auto body = arrays_["body.weight"].mutable_view<float>();
    const auto head = arrays_["head.weight"].mutable_view<float>();
    const auto bias = arrays_["head.bias"].mutable_view<float>();
    std::array<double, kHidden> back{};
    for (size_t c = 0; c != kClasses; ++c) {
      const double error = pass.shares[c] - (c == label ? 1 : 0);
      for (size_t h = 0; h != kHidden; ++h) {
        back[h] += error * head[h * kClasses + c];
        head[h * kClasses + c] -= static_cast<float>(kRate * error * pass.hidden[h]);
      }
      bias[c] -= static_cast<float>(kRate * error);
    }
    for (size_t h = 0; h != kHidden; ++h) {
      const double error = back[h] * (1 - pass.hidden[h] * pass.hidden[h]);
      for (size_t j = 0; j != kFeatures; ++j) {
        body[j * kHidden + h] -= static_cast<float>(kRate * error * pass.inputs[j]);
      }
    }
  }

  ArrayRecord arrays_;
};

}  // namespace umbel
