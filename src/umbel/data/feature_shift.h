#pragma once

#include <cstdint>
#include <span>

#include "umbel/data/dataset.h"
#include "umbel/record/array.h"

namespace umbel::data {

struct FeatureShiftOptions {
  uint64_t clients = 10;
  double noise = 0;       // 0 to 1000: client c's noise has the variance noise (c + 1) / clients
  double brightness = 0;  // 0 to 1000: each client adds a number from -brightness to brightness
  double scale = 0;       // 0 to 1: and before it multiplies by one from 1 - scale to 1 + scale
  uint64_t seed = 0;
};

// Feature skew: the same examples, seen differently by each client (its scanner, its microphone).
// The noise is that of NIID-Bench (Li et al. 2022).  A value without data: a pure function of seed,
// client and example, the same bytes on every machine.  Any thread.
class FeatureShift {
 public:
  // INVALID_ARGUMENT, naming the option, for one out of its range.
  static Result<FeatureShift> make(const FeatureShiftOptions& options);

  // What a client makes of a feature x: factor x + offset + deviation e, e nearly normal.
  struct View {
    double factor = 1;
    double offset = 0;
    double deviation = 0;
  };
  // umbel::Error unless client < clients.
  View of(uint64_t client) const;

  uint64_t clients() const { return options_.clients; }
  // One example's features, in place.  The noise depends on the example's number.
  void apply(uint64_t client, uint32_t example, std::span<float> features) const;
  // Some examples as the client sees them, float32 [m, ...] in the given order; uint8 features are
  // divided by 255 first.  umbel::Error for an example that is not there, and for other dtypes.
  Array apply(uint64_t client, const Array& features, std::span<const uint32_t> examples) const;

 private:
  explicit FeatureShift(const FeatureShiftOptions& options) : options_(options) {}
  void apply(const View& view, uint64_t client, uint32_t example, std::span<float> features) const;

  FeatureShiftOptions options_;
};

}  // namespace umbel::data
