#pragma once

#include <umbel/umbel.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "perceptron.h"

// Says which character comes after the last few: each of them is a vector that is learned too
// (Bengio et al. 2003), and a perceptron takes them side by side.
class LanguageModel {
 public:
  static umbel::ArrayRecord initial(int64_t tokens, int64_t length, umbel::Rng rng) {
    umbel::ArrayRecord arrays;
    umbel::Array vectors = umbel::Array::zeros(umbel::DType::kFloat32, {tokens, kWidth});
    for (float& number : vectors.mutable_view<float>()) number = static_cast<float>(rng.normal());
    arrays.set("vectors", std::move(vectors));
    Perceptron::add(arrays, length * kWidth, kHidden, tokens, umbel::Rng(rng.bits()));
    return arrays;
  }

  explicit LanguageModel(umbel::ArrayRecord arrays)
      : arrays_(std::move(arrays)),
        vectors_(arrays_["vectors"].mutable_view<float>()),
        perceptron_(arrays_) {}
  LanguageModel(const LanguageModel&) = delete;

  umbel::ArrayRecord arrays() && { return std::move(arrays_); }

  // The probability of each token after these.
  std::span<const float> predict(std::span<const uint8_t> tokens) {
    look_up(tokens);
    return perceptron_.predict(input_);
  }

  // One step of SGD; the loss before it, in nats.
  double learn(std::span<const uint8_t> tokens, int32_t next, float rate) {
    look_up(tokens);
    gradient_.resize(input_.size());
    const double loss = perceptron_.learn(input_, next, rate, gradient_);
    for (size_t i = 0; i != tokens.size(); ++i) {
      const auto vector = vectors_.subspan(tokens[i] * kWidth, kWidth);
      for (size_t j = 0; j != kWidth; ++j) vector[j] -= rate * gradient_[i * kWidth + j];
    }
    return loss;
  }

 private:
  static constexpr size_t kWidth = 12;  // numbers of a character's vector
  static constexpr int64_t kHidden = 64;

  void look_up(std::span<const uint8_t> tokens) {
    input_.resize(tokens.size() * kWidth);
    for (size_t i = 0; i != tokens.size(); ++i) {
      std::ranges::copy(vectors_.subspan(tokens[i] * kWidth, kWidth),
                        input_.begin() + static_cast<std::ptrdiff_t>(i * kWidth));
    }
  }

  umbel::ArrayRecord arrays_;
  std::span<float> vectors_;
  Perceptron perceptron_;
  std::vector<float> input_, gradient_;
};
