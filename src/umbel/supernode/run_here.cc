#include "umbel/supernode/run_here.h"

#include <algorithm>

namespace umbel::supernode {

bool LogAllowance::take(double seconds) {
  left_ = std::min(kLinesMax, left_ + (seconds - last_) * kLinesPerSecond);
  last_ = seconds;
  if (left_ < 1) return false;
  left_ -= 1;
  return true;
}

}  // namespace umbel::supernode
