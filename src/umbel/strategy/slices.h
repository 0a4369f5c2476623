#pragma once

#include <span>

#include "umbel/base/status.h"
#include "umbel/record/role.h"

namespace umbel {

// Models of several widths in one federation (HeteroFL: Diao, Ding and Tarokh, ICLR 2021): a client
// of width r has of each slice the leading ceil(r * extent) along its cut axes.  The server
// averages each element over the clients that had it.

// The config key under which a client finds its width.
inline constexpr char kSliceWidthKey[] = "slice-width";

// INVALID_ARGUMENT unless a width is above 0 and at most 1.
Status require_width(double width);

// Whether a block of this shape is within the whole's.
bool is_leading_block(const Shape& block, const Shape& whole);

// The model at this width: slices are cut, everything else shares its bytes.
ArrayRecord narrowed(const ArrayRecord& model, const Roles& roles, double width);

// What the clients of one width came to: the mean of their arrays, and their weight.
struct SliceMean {
  ArrayRecord mean;
  double weight;
};
// The weighted mean over all of them in `whole`'s layout; of slices element by element over those
// that have it, computed in double in the order given and rounded once, and `whole`'s own element
// where nobody has it.  INVALID_ARGUMENT if an array is no leading block of whole's.
Result<ArrayRecord> merge_slices(const ArrayRecord& whole, const Roles& roles,
                                 std::span<const SliceMean> means);

}  // namespace umbel
