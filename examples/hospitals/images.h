#pragma once

#include <umbel/umbel.h>

#include <numeric>
#include <span>
#include <vector>

#include "cnn.h"

// Pictures of a few findings, made from the run's seed.  Each site's scanner shows them in another
// contrast, brightness and noise.  Picture n of site s is example n * sites + s.
class Images {
 public:
  static constexpr int64_t kFindings = 4;
  static constexpr int64_t kSide = 20;
  static constexpr uint32_t kTrained = 200;  // pictures of a site to learn from
  static constexpr uint32_t kHeldBack = 100;

  // Made once in this process; here, where all sites are simulated, with all their pictures.
  static const Images& of(const umbel::Context& context) {
    static const Images shared(context.num_partitions(), context.run_seed());
    return shared;
  }

  // Pictures as the site's own scanner shows them.
  Cnn::Batch batch(uint64_t site, std::span<const uint32_t> numbers) const {
    Cnn::Batch batch;
    std::vector<uint32_t> examples;
    for (const uint32_t number : numbers) {
      examples.push_back(static_cast<uint32_t>(number * scanners_.clients() + site));
      batch.labels.push_back(all_.labels.view<int32_t>()[examples.back()]);
    }
    const umbel::Array seen = scanners_.apply(site, all_.features, examples);
    batch.images = Eigen::Map<const Cnn::Matrix>(seen.view<float>().data(), kSide * kSide,
                                                 static_cast<int64_t>(examples.size()));
    batch.images = (batch.images.array() - 0.5f) * 3;
    return batch;
  }
  Cnn::Batch held_back(uint64_t site) const {
    std::vector<uint32_t> numbers(kHeldBack);
    std::iota(numbers.begin(), numbers.end(), kTrained);
    return batch(site, numbers);
  }

 private:
  Images(uint64_t sites, uint64_t seed)
      : all_(
            umbel::or_throw(umbel::data::pattern_images({.examples = sites * (kTrained + kHeldBack),
                                                         .side = kSide,
                                                         .classes = kFindings,
                                                         .clients = sites,
                                                         .shift_max = 1,
                                                         .seed = seed}))),
        scanners_(umbel::or_throw(umbel::data::FeatureShift::make(
            {.clients = sites, .noise = 0.02, .brightness = 0.5, .scale = 0.8, .seed = seed}))) {}

  umbel::data::Dataset all_;
  umbel::data::FeatureShift scanners_;
};
