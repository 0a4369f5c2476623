#include "umbel/strategy/slices.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "umbel/aggregate/weighted_mean.h"
#include "umbel/base/parallel.h"
#include "umbel/base/text.h"
#include "umbel/strategy/reals.h"

namespace umbel {

namespace {

// 0.7 * 10 is a little more than 7 in binary.
constexpr double kSlack = 1e-9;

Shape block_shape(const Shape& whole, const std::vector<int>& axes, double width) {
  Shape block = whole;
  for (const int axis : axes) {
    const auto extent = static_cast<double>(whole[static_cast<size_t>(axis)]);
    const double share = std::max(std::ceil(width * extent - kSlack), std::min(extent, 1.0));
    block[static_cast<size_t>(axis)] = static_cast<int64_t>(share);
  }
  return block;
}

// Calls f(element of the whole, element of the block, elements) for each run of elements that lie
// side by side in both.
template <class F>
void for_each_run(const Shape& whole, const Shape& block, const F& f) {
  const size_t rank = whole.size();
  const auto empty = [](int64_t extent) { return extent == 0; };
  if (rank == 0 || std::ranges::any_of(block, empty)) return;
  const int64_t run = block[rank - 1];
  std::vector<int64_t> index(rank, 0);
  for (int64_t from = 0;; from += run) {
    int64_t at = 0;
    for (size_t axis = 0; axis != rank; ++axis) at = at * whole[axis] + index[axis];
    f(static_cast<size_t>(at), static_cast<size_t>(from), static_cast<size_t>(run));
    size_t axis = rank - 1;
    while (axis != 0 && ++index[axis - 1] == block[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

Array leading_block(const Array& whole, const Shape& shape) {
  if (shape == whole.shape()) return whole;
  Array block = Array::uninitialized(whole.dtype(), shape);
  const size_t size = size_of(whole.dtype());
  std::byte* out = block.mutable_bytes().data();
  const std::byte* in = whole.bytes().data();
  for_each_run(whole.shape(), shape, [&](size_t at, size_t from, size_t run) {
    std::memcpy(out + from * size, in + at * size, run * size);
  });
  return block;
}

// Of one slice, the i-th array of every mean.
Array merged_slice(const Array& whole, std::span<const SliceMean> means, size_t i) {
  Array out = Array::uninitialized(whole.dtype(), whole.shape());
  with_real_type(whole.dtype(), [&]<class T>(T) {
    std::vector<double> sums(static_cast<size_t>(whole.size()), 0.0);
    std::vector<double> weights(sums.size(), 0.0);
    for (const SliceMean& group : means) {
      const Array& block = group.mean.entry(i).second;
      const auto* x = reinterpret_cast<const T*>(block.bytes().data());
      for_each_run(whole.shape(), block.shape(), [&](size_t at, size_t from, size_t run) {
        for (size_t k = 0; k != run; ++k) {
          sums[at + k] += group.weight * widened(x[from + k]);
          weights[at + k] += group.weight;
        }
      });
    }
    const auto* own = reinterpret_cast<const T*>(whole.bytes().data());
    auto* result = reinterpret_cast<T*>(out.mutable_bytes().data());
    for (size_t k = 0; k != sums.size(); ++k) {
      result[k] = weights[k] > 0 ? rounded<T>(sums[k] / weights[k]) : own[k];
    }
  });
  return out;
}

Status require_blocks(const ArrayRecord& whole, const Roles& roles, const ArrayRecord& mean) {
  for (size_t i = 0; i != whole.size(); ++i) {
    const auto& [name, array] = whole.entry(i);
    const bool there = i < mean.size() && mean.entry(i).first == name;
    if (!there) return invalid_argument("array \"{}\" is missing", escaped(name));
    const Array& block = mean.entry(i).second;
    const bool fits = roles.of(name) == Role::kSlice
                          ? is_leading_block(block.shape(), array.shape())
                          : block.shape() == array.shape();
    if (!fits || block.dtype() != array.dtype()) {
      return invalid_argument("array \"{}\": {} is no leading block of {}", escaped(name),
                              block.describe(), array.describe());
    }
  }
  return absl::OkStatus();
}

}  // namespace

Status require_width(double width) {
  if (width > 0 && width <= 1) return absl::OkStatus();
  return invalid_argument("width {}, expected above 0 and at most 1", width);
}

bool is_leading_block(const Shape& block, const Shape& whole) {
  return std::ranges::equal(block, whole, std::ranges::less_equal());
}

ArrayRecord narrowed(const ArrayRecord& model, const Roles& roles, double width) {
  ArrayRecord cut;
  cut.reserve(model.size());
  for (const auto& [name, array] : model) {
    const std::vector<int> axes = roles.cut_axes(name, array.shape().size());
    cut.append(name, leading_block(array, block_shape(array.shape(), axes, width)));
  }
  return cut;
}

Result<ArrayRecord> merge_slices(const ArrayRecord& whole, const Roles& roles,
                                 std::span<const SliceMean> means) {
  std::vector<ArrayRecord> others(means.size());  // all but slices
  for (size_t g = 0; g != means.size(); ++g) {
    UMBEL_RETURN_IF_ERROR(require_blocks(whole, roles, means[g].mean));
    for (const auto& [name, array] : means[g].mean) {
      if (roles.of(name) != Role::kSlice) others[g].append(name, array);
    }
  }
  std::vector<aggregate::Addend> addends;
  for (size_t g = 0; g != means.size(); ++g) addends.push_back({&others[g], means[g].weight});
  Serial serial;
  UMBEL_ASSIGN_OR_RETURN(const ArrayRecord mean, aggregate::weighted_mean(addends, serial));
  ArrayRecord merged;
  merged.reserve(whole.size());
  size_t taken = 0;
  for (size_t i = 0; i != whole.size(); ++i) {
    const auto& [name, array] = whole.entry(i);
    const bool slice = roles.of(name) == Role::kSlice;
    merged.append(name, slice ? merged_slice(array, means, i) : mean.entry(taken++).second);
  }
  return merged;
}

}  // namespace umbel
