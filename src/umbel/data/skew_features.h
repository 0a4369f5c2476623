#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "umbel/data/feature_shift.h"
#include "umbel/record/array.h"

namespace umbel::data {

inline constexpr size_t kSkewFeaturesMax = 64;  // of more, so many are looked at, evenly spread

// How much of the features' variance lies between clients, beyond what chance puts there: Kelley's
// epsilon squared (1935) of a one-way analysis of variance,
//
//   1 - (W / (N - K)) / (T / (N - 1)),
//
// with N examples at K clients, W the sum of squared distances to the own client's mean and T to
// the mean of all.  0 is expected where clients do not differ, 1 is where each has one value of its
// own.
class FeatureSkew {
 public:
  // `features` is [n, ...] of float32, float64 or uint8; what looks at them lives as long as this.
  // A shift is what the clients' views make of them: its noise counts by its variance.
  explicit FeatureSkew(const Array& features, const FeatureShift* shift = nullptr);

  // Each client once.  Examples are below n.
  void add(uint64_t client, std::span<const uint32_t> examples);

  struct Result {
    double mean = 0;  // over the features that vary
    double most = 0;
    int64_t column = 0;  // the feature where it is the most
  };
  // Nothing if no feature varies, or no client has two examples.
  std::optional<Result> result() const;

 private:
  template <class T>
  void add_values(std::span<const T> values, double unit, std::span<const uint32_t> examples);

  const Array& features_;
  const FeatureShift* shift_;
  size_t width_;
  std::vector<size_t> columns_;
  // Of each column that is looked at.
  std::vector<double> origin_;            // a value of it: taken off, against cancellation
  std::vector<double> own_, own_square_;  // sums of the client that is being added
  std::vector<double> within_;            // squared distances to the own client's mean
  std::vector<double> total_, square_;    // the clients' means, weighted by size, and their squares
  // Of all clients.
  double examples_ = 0, clients_ = 0;
  double noise_within_ = 0, noise_between_ = 0, noise_examples_ = 0;
};

}  // namespace umbel::data
