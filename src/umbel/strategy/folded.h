#pragma once

#include <cstdint>

#include "umbel/record/record.h"

namespace umbel {

// What is left of a phase's replies once they are folded.
struct Folded {
  ArrayRecord arrays = {};    // the weighted mean; empty if no reply counted, or in an evaluation
  MetricRecord metrics = {};  // the weighted means
  uint64_t replies = 0;       // how many counted
  uint64_t failures = 0;      // how many were errors, were refused, or came too late
};

}  // namespace umbel
