#pragma once

#include "event.h"

namespace umbel::cli {

using Metrics = MetricRecord RoundEvent::*;

// Where metrics come from, as the page calls it.
struct Source {
  Metrics metrics;
  const char* name;
  int colour;
};
inline constexpr Source kSources[] = {{&RoundEvent::server, "server", 0},
                                      {&RoundEvent::evaluate, "federated", 2},
                                      {&RoundEvent::train, "training", 1}};

}  // namespace umbel::cli
