#include "umbel/aggregate/weighted_mean.h"

#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <memory>

#include "umbel/aggregate/finite.h"
#include "umbel/base/check.h"

namespace umbel::aggregate {

namespace {

// Calls body(first, last) for runs of consecutive blocks: as long as memory likes them, but enough
// of them to keep all threads at it to the end.
template <class F>
void for_each_run(size_t blocks, Parallel& parallel, const F& body) {
  constexpr size_t kRunMax = 16;
  constexpr size_t kRunsPerThread = 8;
  const size_t threads = parallel.threads();
  const size_t run =
      threads == 1 ? kRunMax : std::clamp<size_t>(blocks / (threads * kRunsPerThread), 1, kRunMax);
  const size_t runs = (blocks + run - 1) / run;
  const auto piece = [&](size_t i) { body(i * run, std::min(blocks, (i + 1) * run)); };
  if (runs <= 1 || threads == 1) return Serial().for_each(runs, piece);
  parallel.for_each(runs, piece);
}

template <class F>
void for_each_block(size_t blocks, Parallel& parallel, const F& body) {
  for_each_run(blocks, parallel, [&](size_t first, size_t last) {
    for (size_t b = first; b != last; ++b) body(b);
  });
}

// Names the first element that is not finite.  Only walked after a refusal.
Status not_summable(const ArrayRecord& arrays) {
  for (const auto& [name, array] : arrays) {
    UMBEL_RETURN_IF_ERROR(require_finite(name, array.dtype(), array.bytes()));
  }
  return invalid_argument("an array holds a number that is not finite");
}

}  // namespace

Status check_weight(double weight) {
  if (weight >= kWeightMin && weight <= kWeightMax) return absl::OkStatus();
  return invalid_argument("weight is {}, expected a positive number from {:.0e} to {:.0e}", weight,
                          kWeightMin, kWeightMax);
}

WeightedMean::WeightedMean(const ArrayRecord& like)
    : WeightedMean(std::make_shared<const Layout>(layout_of(like))) {}

uint32_t WeightedMean::add_to(size_t block, std::span<const Addend> addends, double sign) {
  const size_t array = sums_.block(block).array;
  const size_t offset = sums_.offset(block);
  BlockSum::Piece pieces[BlockSum::kPiecesMax];
  for (size_t k = 0; k != addends.size(); ++k) {
    pieces[k] = {addends[k].arrays->entry(array).second.bytes().data() + offset,
                 sign * addends[k].weight};
  }
  return sums_.add(block, {pieces, addends.size()});
}

std::vector<Status> WeightedMean::add_some(std::span<const Addend> addends, Parallel& parallel) {
  std::vector<Status> statuses(addends.size());
  std::vector<Addend> usable;
  std::vector<size_t> index;
  for (size_t k = 0; k != addends.size(); ++k) {
    statuses[k] = check_weight(addends[k].weight);
    if (statuses[k].ok()) statuses[k] = require_layout(*addends[k].arrays, layout());
    if (!statuses[k].ok()) continue;
    usable.push_back(addends[k]);
    index.push_back(k);
  }
  // Blocks that found an addend bad, by addend; elsewhere its products were added and come out
  // again, to the last bit, by adding them negated.
  std::atomic<uint32_t> bad{0};
  absl::Mutex mutex;
  std::vector<std::pair<size_t, uint32_t>> bad_blocks;
  for_each_block(sums_.size(), parallel, [&](size_t b) {
    const uint32_t refused = add_to(b, usable, 1);
    if (refused == 0) return;
    bad |= refused;
    absl::MutexLock lock(&mutex);
    bad_blocks.emplace_back(b, refused);
  });
  for (size_t k = 0; k != usable.size(); ++k) {
    if (!(bad >> k & 1)) {
      weight_.add(usable[k].weight);
      ++count_;
      continue;
    }
    std::vector<bool> added(sums_.size(), true);
    for (const auto& [b, refused] : bad_blocks) added[b] = added[b] && !(refused >> k & 1);
    for (size_t b = 0; b != sums_.size(); ++b) {
      if (!added[b]) continue;
      UMBEL_CHECK(add_to(b, {&usable[k], 1}, -1) == 0);
      sums_.forget_empty(b);
    }
    statuses[index[k]] = not_summable(*usable[k].arrays);
  }
  for (size_t b = 0; b != sums_.size(); ++b) sums_.trim(b);
  return statuses;
}

std::vector<Status> WeightedMean::add(std::span<const Addend> addends, Parallel& parallel) {
  std::vector<Status> statuses;
  statuses.reserve(addends.size());
  while (!addends.empty()) {
    const auto some = addends.first(std::min(addends.size(), BlockSum::kPiecesMax));
    std::ranges::move(add_some(some, parallel), std::back_inserter(statuses));
    addends = addends.subspan(some.size());
  }
  return statuses;
}

void WeightedMean::merge(const WeightedMean& other) {
  UMBEL_CHECK(require_layout(other.layout(), layout()).ok());
  for (size_t b = 0; b != sums_.size(); ++b) sums_.merge(b, other.sums_);
  weight_.add(other.weight_);
  count_ += other.count_;
}

Result<ArrayRecord> WeightedMean::finish(Parallel& parallel) const {
  if (count_ == 0) return failed_precondition("no update was counted: there is nothing to average");
  ArrayRecord mean;
  mean.reserve(layout().size());
  std::vector<std::byte*> outputs;
  outputs.reserve(layout().size());
  for (const ArraySpec& spec : layout()) {
    Array array = Array::uninitialized(spec.dtype, spec.shape);
    outputs.push_back(array.mutable_bytes().data());
    mean.append(spec.name, std::move(array));
  }
  const kernel::ExactSum::Pair divisor = weight_.pair();
  for_each_block(sums_.size(), parallel, [&](size_t b) {
    sums_.mean(b, outputs[sums_.block(b).array] + sums_.offset(b), divisor);
  });
  return mean;
}

namespace {

// Folds one array of updates that are all at hand.
class ArrayFold {
 public:
  ArrayFold(std::span<const Addend> addends, size_t array, const Array& like, std::byte* out,
            const kernel::ExactSum::Pair& divisor)
      : addends_(addends), array_(array), like_(like), out_(out), divisor_(divisor) {}

  size_t blocks() const {
    return (static_cast<size_t>(like_.size()) + BlockSum::kElements - 1) / BlockSum::kElements;
  }

  // Blocks [first, last).  With more updates than go in one pass, each pass takes several blocks
  // before the next: the part of an update that it asks memory for is then the part it reads next.
  void fold(size_t first, size_t last, std::atomic<size_t>& bad) const {
    constexpr size_t kGroup = 8;
    thread_local std::array<BlockSum, kGroup> sums;
    const size_t group = addends_.size() > BlockSum::kPiecesMax ? kGroup : 1;
    for (; first < last; first += group) {
      const size_t count = std::min(group, last - first);
      for (size_t b = 0; b != count; ++b) sums[b].clear();
      for (size_t k = 0; k < addends_.size(); k += BlockSum::kPiecesMax) {
        const auto some = addends_.subspan(k, std::min(BlockSum::kPiecesMax, addends_.size() - k));
        for (size_t b = 0; b != count; ++b) {
          if (const uint32_t refused = add(sums[b], first + b, some)) {
            lower(bad, k + static_cast<size_t>(std::countr_zero(refused)));
          }
        }
      }
      for (size_t b = 0; b != count; ++b) {
        sums[b].trim();
        sums[b].mean(like_.dtype(), out_ + offset(first + b), elements(first + b), divisor_);
      }
    }
  }

 private:
  size_t offset(size_t block) const { return block * BlockSum::kElements * size_of(like_.dtype()); }
  size_t elements(size_t block) const {
    return std::min(BlockSum::kElements,
                    static_cast<size_t>(like_.size()) - block * BlockSum::kElements);
  }
  uint32_t add(BlockSum& sum, size_t block, std::span<const Addend> addends) const {
    BlockSum::Piece pieces[BlockSum::kPiecesMax];
    for (size_t k = 0; k != addends.size(); ++k) {
      pieces[k] = {addends[k].arrays->entry(array_).second.bytes().data() + offset(block),
                   addends[k].weight};
    }
    return sum.add(like_.dtype(), {pieces, addends.size()}, elements(block));
  }
  static void lower(std::atomic<size_t>& value, size_t to) {
    size_t least = value;
    while (to < least && !value.compare_exchange_weak(least, to)) {
    }
  }

  std::span<const Addend> addends_;
  size_t array_;
  const Array& like_;
  std::byte* out_;
  const kernel::ExactSum::Pair& divisor_;
};

}  // namespace

Result<ArrayRecord> weighted_mean(std::span<const Addend> addends, Parallel& parallel) {
  if (addends.empty()) return failed_precondition("no updates: there is nothing to average");
  const ArrayRecord& layout = *addends[0].arrays;
  kernel::ExactSum weight;
  for (size_t k = 0; k != addends.size(); ++k) {
    Status status = check_weight(addends[k].weight);
    if (status.ok()) status = require_layout(*addends[k].arrays, layout);
    if (!status.ok()) return annotate(status, fmt::format("update {}", k));
    weight.add(addends[k].weight);
  }
  const kernel::ExactSum::Pair divisor = weight.pair();
  ArrayRecord mean;
  std::atomic<size_t> bad{addends.size()};
  for (const auto& [name, like] : layout) {
    Array out = Array::uninitialized(like.dtype(), like.shape());
    const ArrayFold array(addends, mean.size(), like, out.mutable_bytes().data(), divisor);
    for_each_run(array.blocks(), parallel,
                 [&](size_t first, size_t last) { array.fold(first, last, bad); });
    mean.append(name, std::move(out));
  }
  if (const size_t k = bad; k != addends.size()) {
    return annotate(not_summable(*addends[k].arrays), fmt::format("update {}", k));
  }
  return mean;
}

}  // namespace umbel::aggregate
