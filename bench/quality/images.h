#pragma once

#include <cstdint>
#include <span>

#include "examples/common/cnn.h"
#include "umbel/umbel.h"

namespace umbel::bench {

// Part of Fashion-MNIST, by its examples' numbers from 0.
class Images {
 public:
  // The examples from `first` up to, without, `last`.
  Images(const data::Dataset& all, int64_t first, int64_t last)
      : labels_(Array::copy_of(all.labels.view<int32_t>().subspan(
                                   static_cast<size_t>(first), static_cast<size_t>(last - first)),
                               {last - first})),
        features_(all.features),
        first_(first) {}

  const Array& labels() const { return labels_; }
  size_t size() const { return static_cast<size_t>(labels_.size()); }
  // Pixels of mean 0 and deviation 1.
  void fill(Cnn::Batch& batch, std::span<const uint32_t> examples) const;

 private:
  Array labels_;
  Array features_;
  int64_t first_;
};

// Loss and accuracy over all of the images.
MetricRecord evaluate(const ArrayRecord& model, const Images& images);

}  // namespace umbel::bench
