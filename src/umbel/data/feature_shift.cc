#include "umbel/data/feature_shift.h"

#include <algorithm>
#include <cmath>

#include "umbel/base/rng.h"
#include "umbel/data/generate_normal.h"

namespace umbel::data {

namespace {

constexpr uint64_t kViewStream = 1;
constexpr uint64_t kNoiseStream = 2;

Status check_option(std::string_view option, double value, double most) {
  if (value >= 0 && value <= most) return absl::OkStatus();
  return invalid_argument("feature shift: {} is {}, expected a number from 0 to {}", option, value,
                          most);
}

// Example i of the features, as floats.
void copy_example(const Array& features, size_t i, std::span<float> out) {
  if (features.dtype() == DType::kFloat32) {
    std::ranges::copy(features.view<float>().subspan(i * out.size(), out.size()), out.begin());
    return;
  }
  const auto bytes = features.view<uint8_t>().subspan(i * out.size(), out.size());
  for (size_t j = 0; j != out.size(); ++j) out[j] = static_cast<float>(bytes[j]) / 255.0F;
}

}  // namespace

Result<FeatureShift> FeatureShift::make(const FeatureShiftOptions& options) {
  if (options.clients == 0) {
    return invalid_argument("feature shift: clients is 0, expected at least 1");
  }
  UMBEL_RETURN_IF_ERROR(check_option("noise", options.noise, 1000));
  UMBEL_RETURN_IF_ERROR(check_option("brightness", options.brightness, 1000));
  UMBEL_RETURN_IF_ERROR(check_option("scale", options.scale, 1));
  return FeatureShift(options);
}

FeatureShift::View FeatureShift::of(uint64_t client) const {
  if (client >= options_.clients) {
    throw Error(invalid_argument("client {} of a feature shift of {} clients: ids are 0 to {}",
                                 client, options_.clients, options_.clients - 1));
  }
  Rng rng(derive_seed(options_.seed, {kViewStream, client}));
  const double factor = 2 * rng.uniform() - 1;
  const double offset = 2 * rng.uniform() - 1;
  const double rank = static_cast<double>(client + 1) / static_cast<double>(options_.clients);
  return {1 + options_.scale * factor, options_.brightness * offset,
          std::sqrt(options_.noise * rank)};
}

void FeatureShift::apply(const View& view, uint64_t client, uint32_t example,
                         std::span<float> features) const {
  Rng rng(derive_seed(options_.seed, {kNoiseStream, client, example}));
  for (float& x : features) {
    const double noise = view.deviation == 0 ? 0 : view.deviation * near_normal(rng);
    x = static_cast<float>(view.factor * x + view.offset + noise);
  }
}

void FeatureShift::apply(uint64_t client, uint32_t example, std::span<float> features) const {
  apply(of(client), client, example, features);
}

Array FeatureShift::apply(uint64_t client, const Array& features,
                          std::span<const uint32_t> examples) const {
  const DType dtype = features.dtype();
  if (features.shape().empty() || (dtype != DType::kUint8 && dtype != DType::kFloat32)) {
    throw Error(invalid_argument("features are {}, expected uint8 or float32 [n, ...]",
                                 features.describe()));
  }
  const View view = of(client);
  Shape shape = features.shape();
  const auto n = static_cast<size_t>(shape[0]);
  shape[0] = static_cast<int64_t>(examples.size());
  const size_t width = n == 0 ? 0 : static_cast<size_t>(features.size()) / n;
  Array out = Array::uninitialized(DType::kFloat32, shape);
  const auto values = out.mutable_view<float>();
  for (size_t i = 0; i != examples.size(); ++i) {
    if (examples[i] >= n) {
      throw Error(invalid_argument("example {} of {}: expected 0 to {}", examples[i],
                                   features.describe(), n - 1));
    }
    const auto mine = values.subspan(i * width, width);
    copy_example(features, examples[i], mine);
    apply(view, client, examples[i], mine);
  }
  return out;
}

}  // namespace umbel::data
