#pragma once

#include <umbel/umbel.h>

#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

// A small convolutional network on Eigen, for square images of one channel: two convolutions with
// stride 2 and ReLU (5 x 5 to 8 channels, 3 x 3 to 16), one dense layer, softmax cross-entropy.
// 5,386 weights for 28 x 28 pixels and ten classes, in an umbel::ArrayRecord: "conv1.weight"
// [8,5,5,1], "conv1.bias" [8], "conv2.weight" [16,3,3,8], ..., "dense.weight" [classes,n], ...
// One thread.
class Cnn {
 public:
  using Matrix = Eigen::MatrixXf;

  // A column is an image, row after row; numbers of mean 0 and deviation 1 learn best.
  struct Batch {
    Matrix images;
    std::vector<int32_t> labels;
  };
  struct Score {
    double loss = 0;  // sums over the images
    int64_t correct = 0;
  };

  // Needs side >= 9.  Weights of He et al. 2015; the last layer's are 0, so that no class is
  // favoured at the beginning.
  static umbel::ArrayRecord initial(int64_t side, int64_t classes, umbel::Rng rng) {
    const int64_t across = halved(halved(side, kWide), kNarrow);
    umbel::ArrayRecord arrays;
    add_layer(arrays, "conv1", {kFirst, kWide, kWide, 1}, kWide * kWide, rng);
    add_layer(arrays, "conv2", {kSecond, kNarrow, kNarrow, kFirst}, kRun2 * kNarrow, rng);
    const int64_t dense = across * across * kSecond;
    arrays.set("dense.weight", umbel::Array::zeros(umbel::DType::kFloat32, {classes, dense}));
    arrays.set("dense.bias", umbel::Array::zeros(umbel::DType::kFloat32, {classes}));
    return arrays;
  }

  // What initial() made, and what was learned since.
  explicit Cnn(umbel::ArrayRecord arrays) : arrays_(std::move(arrays)) {
    for (size_t i = 0; i != arrays_.size(); ++i) {
      umbel::Array& array = arrays_.at(arrays_.entry(i).first);
      const int64_t rows = array.shape()[0];
      weights_.emplace_back(array.mutable_view<float>().data(), rows, array.size() / rows);
      gradient_.emplace_back(rows, array.size() / rows);
    }
  }
  Cnn(const Cnn&) = delete;

  umbel::ArrayRecord arrays() && { return std::move(arrays_); }

  // One step of SGD; the batch's mean loss before it.
  double train(const Batch& batch, float rate) {
    const double loss = find_gradient(batch);
    for (size_t i = 0; i != weights_.size(); ++i) weights_[i] -= rate * gradient_[i];
    return loss;
  }

  Score evaluate(const Batch& batch) {
    forward(batch.images);
    return to_gradient(batch.labels);
  }

  // For steps of one's own: the mean loss, whose gradient by weights()[i] is gradient()[i] then.
  // Arrays are in the order of the record, seen as matrices of as many rows as the first extent.
  double find_gradient(const Batch& batch) {
    forward(batch.images);
    const auto count = static_cast<float>(batch.labels.size());
    const double loss = to_gradient(batch.labels).loss / count;
    logits_ /= count;
    backward();
    return loss;
  }
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Weight = Eigen::Map<RowMajor>;
  using ConstWeight = Eigen::Map<const RowMajor>;
  std::vector<Weight>& weights() { return weights_; }
  const std::vector<Matrix>& gradient() const { return gradient_; }

 private:
  static constexpr int64_t kFirst = 8;  // channels
  static constexpr int64_t kSecond = 16;
  static constexpr int64_t kWide = 5;  // kernels
  static constexpr int64_t kNarrow = 3;
  static constexpr int64_t kRun1 = kWide;  // numbers of a patch that lie side by side
  static constexpr int64_t kRun2 = kNarrow * kFirst;

  static int64_t halved(int64_t side, int64_t kernel) { return (side - kernel) / 2 + 1; }

  static void add_layer(umbel::ArrayRecord& arrays, const std::string& name,
                        const umbel::Shape& shape, int64_t inputs, umbel::Rng& rng) {
    umbel::Array weight = umbel::Array::zeros(umbel::DType::kFloat32, shape);
    const double scale = std::sqrt(2.0 / static_cast<double>(inputs));
    for (float& w : weight.mutable_view<float>()) w = static_cast<float>(scale * rng.normal());
    arrays.set(name + ".weight", std::move(weight));
    arrays.set(name + ".bias", umbel::Array::zeros(umbel::DType::kFloat32, {shape[0]}));
  }

  // Calls visit(patch, image) for each run of kRun numbers that a patch takes from an image; both
  // are positions.  Positions of pixels count channels first, so that runs are long.
  template <int64_t kRun, class Visit>
  static void for_each_run(int64_t images, int64_t side, int64_t kernel, const Visit& visit) {
    const int64_t channels = kRun / kernel;
    const int64_t across = halved(side, kernel);
    int64_t patch = 0;
    for (int64_t image = 0; image != images; ++image) {
      for (int64_t y = 0; y != across; ++y) {
        for (int64_t x = 0; x != across; ++x) {
          for (int64_t row = 0; row != kernel; ++row, patch += kRun) {
            visit(patch, ((image * side + 2 * y + row) * side + 2 * x) * channels);
          }
        }
      }
    }
  }

  template <int64_t kRun>
  static void gather(const float* images, int64_t count, int64_t side, int64_t kernel,
                     Matrix& patches) {
    const int64_t across = halved(side, kernel);
    patches.resize(kernel * kRun, count * across * across);
    float* out = patches.data();
    for_each_run<kRun>(count, side, kernel, [&](int64_t patch, int64_t image) {
      for (int64_t i = 0; i != kRun; ++i) out[patch + i] = images[image + i];
    });
  }

  void forward(const Matrix& images) {
    const int64_t count = images.cols();
    const auto side = static_cast<int64_t>(std::lround(std::sqrt(double(images.rows()))));
    gather<kRun1>(images.data(), count, side, kWide, patches1_);
    outputs1_.noalias() = weights_[0] * patches1_;
    outputs1_ = (outputs1_.colwise() + weights_[1].col(0)).cwiseMax(0.0f);
    middle_ = halved(side, kWide);
    gather<kRun2>(outputs1_.data(), count, middle_, kNarrow, patches2_);
    outputs2_.noalias() = weights_[2] * patches2_;
    outputs2_ = (outputs2_.colwise() + weights_[3].col(0)).cwiseMax(0.0f);
    const Eigen::Map<const Matrix> flat(outputs2_.data(), weights_[4].cols(), count);
    logits_.noalias() = weights_[4] * flat;
    logits_.colwise() += weights_[5].col(0);
  }

  // Turns the logits into the loss's gradient by them, and sums loss and right answers.
  Score to_gradient(const std::vector<int32_t>& labels) {
    Score score;
    for (int64_t column = 0; column != logits_.cols(); ++column) {
      auto scores = logits_.col(column);
      const int32_t label = labels[static_cast<size_t>(column)];
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

  void backward() {
    const int64_t count = logits_.cols();
    const Eigen::Map<const Matrix> flat(outputs2_.data(), weights_[4].cols(), count);
    gradient_[4].noalias() = logits_ * flat.transpose();
    gradient_[5] = logits_.rowwise().sum();
    below2_.resize(outputs2_.rows(), outputs2_.cols());
    Eigen::Map<Matrix>(below2_.data(), flat.rows(), count).noalias() =
        weights_[4].transpose() * logits_;
    below2_ = (outputs2_.array() > 0).select(below2_, 0.0f);
    gradient_[2].noalias() = below2_ * patches2_.transpose();
    gradient_[3] = below2_.rowwise().sum();
    patches2_.noalias() = weights_[2].transpose() * below2_;
    below1_.setZero(outputs1_.rows(), outputs1_.cols());
    for_each_run<kRun2>(count, middle_, kNarrow, [&](int64_t patch, int64_t image) {
      for (int64_t i = 0; i != kRun2; ++i) below1_.data()[image + i] += patches2_.data()[patch + i];
    });
    below1_ = (outputs1_.array() > 0).select(below1_, 0.0f);
    gradient_[0].noalias() = below1_ * patches1_.transpose();
    gradient_[1] = below1_.rowwise().sum();
  }

  umbel::ArrayRecord arrays_;
  std::vector<Weight> weights_;  // of arrays_
  std::vector<Matrix> gradient_;
  int64_t middle_ = 0;                   // side of the first layer's output
  Matrix patches1_, outputs1_, below1_;  // a column is a pixel
  Matrix patches2_, outputs2_, below2_;
  Matrix logits_;  // a column is an image
};
