#include "umbel/strategy/step_limits.h"

#include <cmath>

namespace umbel {

Status require_positive(std::string_view name, double value) {
  if (std::isfinite(value) && value > 0) return absl::OkStatus();
  return invalid_argument("{} = {}, expected a finite number above 0", name, value);
}

Status require_decay(std::string_view name, double value) {
  if (value >= 0 && value < 1) return absl::OkStatus();
  return invalid_argument("{} = {}, expected at least 0 and below 1", name, value);
}

}  // namespace umbel
