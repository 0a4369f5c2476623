#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "umbel/aggregate/layout_sum.h"
#include "umbel/base/parallel.h"
#include "umbel/kernel/exact_sum.h"
#include "umbel/record/layout.h"

namespace umbel::aggregate {

// The weights that can be summed: 10^-301 to 10^289.  Beyond, sums of weights could overflow.
inline constexpr double kWeightMin = 0x1p-1000;
inline constexpr double kWeightMax = 0x1p960;
Status check_weight(double weight);  // INVALID_ARGUMENT outside

// One update and its weight.
struct Addend {
  const ArrayRecord* arrays;
  double weight;
};

// The weighted mean of array records, sum of w_k * x_k over sum of w_k (McMahan et al. 2017), as a
// partial aggregate: add, merge, finish.  The same addends give the same bytes whatever the order,
// the grouping into merges or the number of threads.
//
// Error against the exact mean: at most 2^-24 of the element plus 2^-47 of the largest magnitude in
// that tensor for float32; half a unit in the last place plus 2^-47 of the largest for the 16-bit
// floats; 2^-51 of the element or 2^-46 of the largest, whichever is larger, for float64.  Where
// the mean is denormal, half of the least denormal number comes on top.  Zero comes out as +0.
// Integer arrays are rounded to the nearest integer, ties to even; exactly so where weights are
// integers below 2^29.  A bool array takes the side of more than half of the weight, false where
// they are even.
//
// Memory: 8 bytes for each real number of the 16-bit and 32-bit floats, 12 from the 256th addend
// on; 12 bytes for other types; whatever the number of addends of similar magnitude, and at most 17
// times that for any addends.
//
// One thread at a time; `parallel` splits the arrays, never the addends.
class WeightedMean {
 public:
  explicit WeightedMean(std::shared_ptr<const Layout> layout) : sums_(std::move(layout)) {}
  // Takes names, dtypes and shapes from `like`.
  explicit WeightedMean(const ArrayRecord& like);

  // One status for each addend.  INVALID_ARGUMENT, and nothing of that addend is counted, for
  // another layout, a weight that check_weight() refuses, NaN or infinity.  A refused addend does
  // not disturb the others.
  std::vector<Status> add(std::span<const Addend> addends, Parallel& parallel);
  void merge(const WeightedMean& other);  // of the same layout
  // FAILED_PRECONDITION if nothing was added.
  Result<ArrayRecord> finish(Parallel& parallel) const;

  uint64_t count() const { return count_; }
  double weight() const { return weight_.value(); }
  const Layout& layout() const { return sums_.layout(); }
  LayoutSum& sums() { return sums_; }
  size_t byte_size() const { return sizeof *this + sums_.byte_size(); }

 private:
  std::vector<Status> add_some(std::span<const Addend> addends, Parallel& parallel);
  uint32_t add_to(size_t block, std::span<const Addend> addends, double sign);

  LayoutSum sums_;
  kernel::ExactSum weight_;
  uint64_t count_ = 0;
};

// The same mean of updates that are all at hand: one pass over memory, nothing allocated but the
// result.  The bytes are those that WeightedMean gives.  Fails, naming the addend by its index,
// if any of them would be refused, and FAILED_PRECONDITION if there are none.
Result<ArrayRecord> weighted_mean(std::span<const Addend> addends, Parallel& parallel);

}  // namespace umbel::aggregate
