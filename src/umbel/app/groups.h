#pragma once

#include <cstdint>
#include <string>

#include "umbel/app/grid.h"

namespace umbel {

// By what an evaluation is split, so that a mean over everybody does not hide whom a model is worse
// for.
struct Groups {
  std::string attribute;
  // The metrics of fewer clients than this are told of nowhere, and neither is what they could be
  // made from by subtraction: where one group is too small, another one is left out with it, the
  // smallest, until those that are left out have so many clients together.  A metric that fewer
  // clients of a group have is left out of the group's and of everybody's.
  uint64_t size_min = 5;
};

// NOT_FOUND for an attribute that is not known here; INVALID_ARGUMENT for a size below 2.
Status validate(const Groups& groups, const Traits* traits);

// send_and_fold() for metrics alone, of each category of the attribute as well: "accuracy@women"
// beside "accuracy", but for the metric that is the weight.  The clients of groups that are too
// small are asked and folded together, so that even the ServerApp does not see theirs.  In virtual
// time all are asked at once.  The metrics over everybody are the weighted means of the groups':
// equal to those of one fold, up to rounding, for metrics that all replies have.
aggregate::FoldResult evaluate_groups(Grid& grid, const Broadcast& broadcast,
                                      const AggregationPlan& plan, Deadline deadline,
                                      const Groups& groups);

}  // namespace umbel
