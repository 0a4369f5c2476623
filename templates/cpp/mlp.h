#pragma once

#include <umbel/umbel.h>

#include <Eigen/Dense>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

// A multi-layer perceptron with ReLU, softmax cross-entropy and plain SGD, on Eigen.  Its weights
// live in an umbel::ArrayRecord: "fc1.weight" [200,784], "fc1.bias" [200], ...
class Mlp {
 public:
  static umbel::ArrayRecord initial(const std::vector<int64_t>& widths, umbel::Rng rng) {
    umbel::ArrayRecord arrays;
    for (size_t layer = 1; layer < widths.size(); ++layer) {
      const auto weight =
          umbel::Array::zeros(umbel::DType::kFloat32, {widths[layer], widths[layer - 1]});
      const auto bias = umbel::Array::zeros(umbel::DType::kFloat32, {widths[layer]});
      arrays.set(name(layer, "weight"), weight);
      arrays.set(name(layer, "bias"), bias);
      const double scale =
          std::sqrt(2.0 / static_cast<double>(widths[layer - 1]));  // He et al. 2015
      for (float& w : arrays[name(layer, "weight")].mutable_view<float>()) {
        w = static_cast<float>(scale * rng.normal());
      }
    }
    return arrays;
  }

  // Shares the arrays until they are first written to.
  explicit Mlp(umbel::ArrayRecord arrays)
      : arrays_(std::move(arrays)), layers_(arrays_.size() / 2) {}

  umbel::ArrayRecord arrays() && { return std::move(arrays_); }

  // One SGD step on the examples; returns their mean loss before it.
  double train(const umbel::data::Dataset& data, std::span<const uint32_t> examples, float rate) {
    forward(data, examples);
    const double loss = to_gradient(data, examples).loss / static_cast<double>(examples.size());
    const float step = rate / static_cast<float>(examples.size());
    for (size_t layer = layers_; layer >= 1; --layer) {
      Matrix& gradient = outputs_[layer];
      const Matrix& input = outputs_[layer - 1];
      if (layer > 1) {
        below_.noalias() = weight(layer).transpose() * gradient;
        below_ = (input.array() > 0).select(below_, 0.0f);
      }
      mutable_weight(layer).noalias() -= (step * gradient) * input.transpose();
      mutable_bias(layer) -= step * gradient.rowwise().sum();
      if (layer > 1) outputs_[layer - 1].swap(below_);
    }
    return loss;
  }

  struct Score {
    double loss = 0;  // sums over the examples
    int64_t correct = 0;
  };
  Score evaluate(const umbel::data::Dataset& data, std::span<const uint32_t> examples) {
    forward(data, examples);
    return to_gradient(data, examples);
  }

 private:
  // Of Fashion-MNIST's pixels, 0 to 255: inputs are brought to mean 0 and deviation 1.
  static constexpr float kMean = 72.94f;
  static constexpr float kDeviation = 90.02f;

  using Pixels = Eigen::Matrix<uint8_t, Eigen::Dynamic, 1>;
  using Matrix = Eigen::MatrixXf;  // a column is an example
  using Weight = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  static std::string name(size_t layer, const char* kind) {
    return "fc" + std::to_string(layer) + "." + kind;
  }
  const umbel::Array& array(size_t layer, size_t kind) const {
    return arrays_.entry(2 * (layer - 1) + kind).second;
  }
  umbel::Array& mutable_array(size_t layer, size_t kind) {
    return arrays_.at(arrays_.entry(2 * (layer - 1) + kind).first);
  }
  Eigen::Map<const Weight> weight(size_t layer) const {
    const umbel::Array& w = array(layer, 0);
    return {w.view<float>().data(), w.shape()[0], w.shape()[1]};
  }
  Eigen::Map<Weight> mutable_weight(size_t layer) {
    umbel::Array& w = mutable_array(layer, 0);
    return {w.mutable_view<float>().data(), w.shape()[0], w.shape()[1]};
  }
  Eigen::Map<const Eigen::VectorXf> bias(size_t layer) const {
    const umbel::Array& b = array(layer, 1);
    return {b.view<float>().data(), b.size()};
  }
  Eigen::Map<Eigen::VectorXf> mutable_bias(size_t layer) {
    umbel::Array& b = mutable_array(layer, 1);
    return {b.mutable_view<float>().data(), b.size()};
  }

  // outputs_[0] is the input, outputs_[layers_] the logits.
  void forward(const umbel::data::Dataset& data, std::span<const uint32_t> examples) {
    outputs_.resize(layers_ + 1);
    const int64_t features = data.feature_size();
    const auto pixels = data.features.view<uint8_t>();
    Matrix& input = outputs_[0];
    input.resize(features, static_cast<int64_t>(examples.size()));
    for (size_t column = 0; column != examples.size(); ++column) {
      const uint8_t* example = pixels.data() + features * static_cast<int64_t>(examples[column]);
      input.col(static_cast<int64_t>(column)) =
          (Eigen::Map<const Pixels>(example, features).cast<float>().array() - kMean) *
          (1 / kDeviation);
    }
    for (size_t layer = 1; layer <= layers_; ++layer) {
      // For few outputs plain dot products are faster than Eigen's product of large matrices.
      if (weight(layer).rows() <= 16) {
        outputs_[layer].noalias() = weight(layer).lazyProduct(outputs_[layer - 1]);
      } else {
        outputs_[layer].noalias() = weight(layer) * outputs_[layer - 1];
      }
      outputs_[layer].colwise() += bias(layer);
      if (layer != layers_) outputs_[layer] = outputs_[layer].cwiseMax(0.0f);
    }
  }

  // Turns the logits into the loss's gradient by them, and sums loss and right answers.
  Score to_gradient(const umbel::data::Dataset& data, std::span<const uint32_t> examples) {
    Score score;
    const auto labels = data.labels.view<int32_t>();
    Matrix& logits = outputs_[layers_];
    for (int64_t column = 0; column != logits.cols(); ++column) {
      auto scores = logits.col(column);
      const int32_t label = labels[examples[static_cast<size_t>(column)]];
      Eigen::Index best = 0;
      const float greatest = scores.maxCoeff(&best);
      const float log_sum = std::log((scores.array() - greatest).exp().sum()) + greatest;
      score.loss += log_sum - scores[label];
      score.correct += best == label;
      scores = (scores.array() - log_sum).exp();
      scores[label] -= 1;
    }
    return score;
  }

  umbel::ArrayRecord arrays_;
  size_t layers_;
  std::vector<Matrix> outputs_;
  Matrix below_;
};
