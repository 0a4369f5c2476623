#pragma once

#include <umbel/umbel.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

// One hidden layer of ReLU and softmax cross-entropy, in plain loops: "hidden.weight"
// [hidden,inputs], "hidden.bias", "out.weight" [classes,hidden], "out.bias".  Learns from one
// example at a time.  One thread.
class Perceptron {
 public:
  // Adds the layers' arrays to a record, which may have others.  Weights of He et al. 2015; the
  // last layer's are 0, so that no class is favoured at the beginning.
  static void add(umbel::ArrayRecord& arrays, int64_t inputs, int64_t hidden, int64_t classes,
                  umbel::Rng rng) {
    constexpr auto kFloat = umbel::DType::kFloat32;
    umbel::Array weight = umbel::Array::zeros(kFloat, {hidden, inputs});
    const double scale = std::sqrt(2.0 / static_cast<double>(inputs));
    for (float& w : weight.mutable_view<float>()) w = static_cast<float>(scale * rng.normal());
    arrays.set("hidden.weight", std::move(weight));
    arrays.set("hidden.bias", umbel::Array::zeros(kFloat, {hidden}));
    arrays.set("out.weight", umbel::Array::zeros(kFloat, {classes, hidden}));
    arrays.set("out.bias", umbel::Array::zeros(kFloat, {classes}));
  }

  // Works on the record's arrays, which must outlive it.
  explicit Perceptron(umbel::ArrayRecord& arrays)
      : hidden_weight_(arrays["hidden.weight"].mutable_view<float>()),
        hidden_bias_(arrays["hidden.bias"].mutable_view<float>()),
        out_weight_(arrays["out.weight"].mutable_view<float>()),
        out_bias_(arrays["out.bias"].mutable_view<float>()),
        hidden_(hidden_bias_.size()),
        below_(hidden_bias_.size()),
        shares_(out_bias_.size()) {}

  // The probabilities of the classes; valid until the next call.
  std::span<const float> predict(std::span<const float> x) {
    for (size_t h = 0; h != hidden_.size(); ++h) {
      hidden_[h] = std::max(0.0f, hidden_bias_[h] + dot(row(hidden_weight_, h, x.size()), x));
    }
    for (size_t c = 0; c != shares_.size(); ++c) {
      shares_[c] = out_bias_[c] + dot(row(out_weight_, c, hidden_.size()), hidden_);
    }
    const float greatest = *std::ranges::max_element(shares_);
    float sum = 0;
    for (float& share : shares_) sum += share = std::exp(share - greatest);
    for (float& share : shares_) share /= sum;
    return shares_;
  }

  // One step of SGD; the loss before it.  `gradient`, if there is any, becomes the loss's by x.
  double learn(std::span<const float> x, int32_t label, float rate,
               std::span<float> gradient = {}) {
    predict(x);
    const auto right = static_cast<size_t>(label);
    const double loss = -std::log(std::max(shares_[right], 1e-12f));
    shares_[right] -= 1;
    std::ranges::fill(below_, 0.0f);
    for (size_t c = 0; c != shares_.size(); ++c) {
      const auto weight = row(out_weight_, c, hidden_.size());
      add_scaled(below_, shares_[c], weight);
      add_scaled(weight, -rate * shares_[c], hidden_);
      out_bias_[c] -= rate * shares_[c];
    }
    std::ranges::fill(gradient, 0.0f);
    for (size_t h = 0; h != hidden_.size(); ++h) {
      if (hidden_[h] <= 0) continue;
      const auto weight = row(hidden_weight_, h, x.size());
      if (!gradient.empty()) add_scaled(gradient, below_[h], weight);
      add_scaled(weight, -rate * below_[h], x);
      hidden_bias_[h] -= rate * below_[h];
    }
    return loss;
  }

 private:
  static std::span<float> row(std::span<float> matrix, size_t index, size_t width) {
    return matrix.subspan(index * width, width);
  }
  // Eight sums side by side, for the processor to take at once.
  static float dot(std::span<const float> a, std::span<const float> b) {
    float sums[8] = {};
    size_t i = 0;
    for (; i + 8 <= a.size(); i += 8) {
      for (size_t j = 0; j != 8; ++j) sums[j] += a[i + j] * b[i + j];
    }
    for (; i != a.size(); ++i) sums[0] += a[i] * b[i];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  }
  static void add_scaled(std::span<float> to, float scale, std::span<const float> x) {
    for (size_t i = 0; i != to.size(); ++i) to[i] += scale * x[i];
  }

  std::span<float> hidden_weight_, hidden_bias_, out_weight_, out_bias_;
  std::vector<float> hidden_, below_, shares_;
};
