#include "umbel/data/generate.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "umbel/data/generate_normal.h"
#include "umbel/data/generate_options.h"

namespace umbel::data {

namespace {

constexpr uint64_t kFeaturesMax = 65536;
constexpr uint64_t kScoresMax = 1024;

std::vector<double> normals(Rng rng, size_t count, double scale) {
  std::vector<double> out(count);
  for (double& x : out) x = scale * near_normal(rng);
  return out;
}

// Scores by the common coefficients and by a client's departures from them.
class LinearSource {
 public:
  LinearSource(const LinearOptions& options, size_t scores)
      : options_(options),
        width_(options.features + 1),
        scale_(1 / std::sqrt(static_cast<double>(options.features))),
        common_(normals(stream(options.seed, Stream::kModel, 0), scores * width_, scale_)) {}

  const std::vector<double>& common() const { return common_; }

  // Fills the features of example i, and puts its scores into `scores`.
  void make(uint64_t i, std::span<float> features, std::span<double> scores) {
    const uint64_t client = i % options_.clients;
    Rng means = stream(options_.seed, Stream::kClient, client);
    Rng own = stream(options_.seed, Stream::kOwn, client);
    Rng rng = stream(options_.seed, Stream::kExample, i);
    for (float& x : features) {
      const double mean = options_.feature_spread == 0 ? 0 : near_normal(means);
      x = static_cast<float>(options_.feature_spread * mean + near_normal(rng));
    }
    for (size_t s = 0; s != scores.size(); ++s) {
      double sum = coefficient(s, features.size(), own);
      for (size_t j = 0; j != features.size(); ++j) sum += coefficient(s, j, own) * features[j];
      scores[s] = sum + options_.noise * near_normal(rng);
    }
  }

 private:
  double coefficient(size_t score, size_t place, Rng& own) const {
    const double common = common_[score * width_ + place];
    if (options_.model_spread == 0) return common;
    return common + options_.model_spread * (scale_ * near_normal(own));
  }

  const LinearOptions& options_;
  size_t width_;
  double scale_;
  std::vector<double> common_;
};

Status check_linear(std::string_view generator, const LinearOptions& options, uint64_t classes) {
  OptionCheck check(generator);
  check.size(options.examples, options.features, options.clients);
  check.within("features", options.features, 1, kFeaturesMax);
  check.within("classes", classes, 2, kScoresMax);
  check.real("noise", options.noise, kSpreadMax);
  check.real("model-spread", options.model_spread, kSpreadMax);
  check.real("feature-spread", options.feature_spread, kSpreadMax);
  return check.status();
}

Status check_blobs(const BlobOptions& options) {
  OptionCheck check("blobs");
  check.size(options.examples, options.features, options.clients);
  check.within("features", options.features, 1, kFeaturesMax);
  check.within("classes", options.classes, 1, uint64_t{kClassesMax});
  check.real("spread", options.spread, kSpreadMax);
  check.real("client-spread", options.client_spread, kSpreadMax);
  return check.status();
}

Array rows(uint64_t examples, uint64_t width) {
  return Array::uninitialized(DType::kFloat32,
                              {static_cast<int64_t>(examples), static_cast<int64_t>(width)});
}

}  // namespace

Array dealt_ids(uint64_t examples, uint64_t clients) {
  Array ids = Array::uninitialized(DType::kInt32, {static_cast<int64_t>(examples)});
  const auto out = ids.mutable_view<int32_t>();
  for (size_t i = 0; i != out.size(); ++i) out[i] = static_cast<int32_t>(i % clients);
  return ids;
}

Result<Regression> linear_regression(const LinearOptions& options) {
  UMBEL_RETURN_IF_ERROR(check_linear("linear_regression", options, 2));
  LinearSource source(options, 1);
  Regression out{
      .features = rows(options.examples, options.features),
      .targets = Array::uninitialized(DType::kFloat32, {static_cast<int64_t>(options.examples)}),
      .natural_ids = dealt_ids(options.examples, options.clients),
      .name = "linear regression"};
  const auto features = out.features.mutable_view<float>();
  const auto targets = out.targets.mutable_view<float>();
  for (size_t i = 0; i != targets.size(); ++i) {
    double score = 0;
    source.make(i, features.subspan(i * options.features, options.features), {&score, 1});
    targets[i] = static_cast<float>(score);
  }
  const std::vector<float> common(source.common().begin(), source.common().end());
  out.coefficients = Array::copy_of<float>(common, {static_cast<int64_t>(common.size())});
  return out;
}

Result<Dataset> linear_classes(const LinearOptions& options) {
  UMBEL_RETURN_IF_ERROR(check_linear("linear_classes", options, options.classes));
  LinearSource source(options, options.classes);
  Dataset out{.features = rows(options.examples, options.features),
              .labels = Array::zeros(DType::kInt32, {static_cast<int64_t>(options.examples)}),
              .classes = static_cast<int64_t>(options.classes),
              .name = "linear classes"};
  out.natural_ids = dealt_ids(options.examples, options.clients);
  const auto features = out.features.mutable_view<float>();
  const auto labels = out.labels.mutable_view<int32_t>();
  std::vector<double> scores(options.classes);
  for (size_t i = 0; i != labels.size(); ++i) {
    source.make(i, features.subspan(i * options.features, options.features), scores);
    labels[i] =
        static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  }
  return out;
}

Result<Dataset> blobs(const BlobOptions& options) {
  UMBEL_RETURN_IF_ERROR(check_blobs(options));
  Dataset out{.features = rows(options.examples, options.features),
              .labels = Array::zeros(DType::kInt32, {static_cast<int64_t>(options.examples)}),
              .classes = static_cast<int64_t>(options.classes),
              .name = "blobs"};
  out.natural_ids = dealt_ids(options.examples, options.clients);
  const auto features = out.features.mutable_view<float>();
  const auto labels = out.labels.mutable_view<int32_t>();
  size_t place = 0;
  for (size_t i = 0; i != labels.size(); ++i) {
    Rng rng = stream(options.seed, Stream::kExample, i);
    const uint64_t label = rng.below(options.classes);
    Rng centre = stream(options.seed, Stream::kModel, label);
    Rng own = stream(options.seed, Stream::kClient, i % options.clients);
    labels[i] = static_cast<int32_t>(label);
    for (uint64_t j = 0; j != options.features; ++j, ++place) {
      const double shift = options.client_spread == 0 ? 0 : near_normal(own);
      features[place] =
          static_cast<float>(2 * centre.uniform() - 1 + options.client_spread * shift +
                             options.spread * near_normal(rng));
    }
  }
  return out;
}

}  // namespace umbel::data
