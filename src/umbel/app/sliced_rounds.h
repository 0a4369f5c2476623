#pragma once

#include <cstdint>
#include <functional>

#include "umbel/app/grid.h"
#include "umbel/strategy/exchange.h"

namespace umbel {

// The share of a slice's extents that a client trains: above 0, at most 1; by the client's number.
using ClientWidth = std::function<double(uint64_t client)>;

struct SlicedFold {
  aggregate::FoldResult fold;
  uint64_t bytes_down = 0;
};

// send_and_fold() where clients have models of several widths (strategy/slices.h): those of one
// width are asked together, the widest first, with the model and the reply's layout cut to it, and
// their means are merged.  In virtual time all are asked at once.  umbel::Error for a width that is
// none.
SlicedFold fold_by_width(Grid& grid, const Broadcast& broadcast, const AggregationPlan& plan,
                         Deadline deadline, const Exchange& exchange, const ClientWidth& width);

// INVALID_ARGUMENT for slices without widths or the other way round.
Status require_widths(const Roles& roles, const ClientWidth& width);

}  // namespace umbel
