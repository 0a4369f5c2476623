#include "umbel/data/skew_features.h"

#include <algorithm>
#include <cmath>

namespace umbel::data {

FeatureSkew::FeatureSkew(const Array& features, const FeatureShift* shift)
    : features_(features), shift_(shift) {
  const auto size = static_cast<size_t>(features.size());
  width_ = size == 0 ? 0 : size / static_cast<size_t>(features.shape()[0]);
  const size_t count = std::min(width_, kSkewFeaturesMax);
  for (size_t i = 0; i != count; ++i) columns_.push_back(i * width_ / count);
  for (std::vector<double>* sums : {&own_, &own_square_, &within_, &total_, &square_}) {
    sums->assign(count, 0);
  }
}

template <class T>
void FeatureSkew::add_values(std::span<const T> values, double unit,
                             std::span<const uint32_t> examples) {
  if (origin_.empty()) {
    for (const size_t column : columns_) {
      origin_.push_back(static_cast<double>(values[column]) * unit);
    }
  }
  for (const uint32_t example : examples) {
    const auto row = values.subspan(example * width_, width_);
    for (size_t i = 0; i != columns_.size(); ++i) {
      const double x = static_cast<double>(row[columns_[i]]) * unit - origin_[i];
      own_[i] += x;
      own_square_[i] += x * x;
    }
  }
}

void FeatureSkew::add(uint64_t client, std::span<const uint32_t> examples) {
  if (columns_.empty() || examples.empty()) return;
  std::ranges::fill(own_, 0);
  std::ranges::fill(own_square_, 0);
  switch (features_.dtype()) {
    case DType::kUint8:
      add_values(features_.view<uint8_t>(), 1 / 255.0, examples);
      break;
    case DType::kInt32:
      add_values(features_.view<int32_t>(), 1, examples);
      break;
    case DType::kFloat64:
      add_values(features_.view<double>(), 1, examples);
      break;
    default:
      add_values(features_.view<float>(), 1, examples);
  }
  const FeatureShift::View view = shift_ == nullptr ? FeatureShift::View() : shift_->of(client);
  const auto n = static_cast<double>(examples.size());
  for (size_t i = 0; i != columns_.size(); ++i) {
    const double mean = own_[i] / n;
    // std::max keeps a NaN that comes first: result() leaves the column out.
    within_[i] += view.factor * view.factor * std::max(own_square_[i] - own_[i] * mean, 0.0);
    const double seen = view.factor * mean + (view.factor - 1) * origin_[i] + view.offset;
    total_[i] += n * seen;
    square_[i] += n * seen * seen;
  }
  const double noise = view.deviation * view.deviation;
  examples_ += n;
  clients_ += 1;
  noise_within_ += noise * (n - 1);
  noise_between_ += noise;
  noise_examples_ += noise * n;
}

std::optional<FeatureSkew::Result> FeatureSkew::result() const {
  if (examples_ <= clients_) return std::nullopt;
  Result result{.most = -INFINITY};
  double sum = 0, count = 0;
  for (size_t i = 0; i != columns_.size(); ++i) {
    const double within = within_[i] + noise_within_;
    const double between = std::max(square_[i] - total_[i] * total_[i] / examples_, 0.0) +
                           noise_between_ - noise_examples_ / examples_;
    const double total = within + between;
    if (!(total > 0) || !std::isfinite(total)) continue;
    const double share = 1 - (within / (examples_ - clients_)) / (total / (examples_ - 1));
    sum += share;
    count += 1;
    if (share > result.most) {
      result.most = share;
      result.column = static_cast<int64_t>(columns_[i]);
    }
  }
  if (count == 0) return std::nullopt;
  result.mean = sum / count;
  return result;
}

}  // namespace umbel::data
