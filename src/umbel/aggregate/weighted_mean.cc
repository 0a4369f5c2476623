#include "umbel/aggregate/weighted_mean.h"

#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <memory>

#include "umbel/base/check.h"
#include "umbel/record/half.h"

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

double real_at(const Array& array, size_t i) {
  switch (array.dtype()) {
    case DType::kFloat16:
      return to_float(array.view<Float16>()[i]);
    case DType::kBfloat16:
      return to_float(array.view<Bfloat16>()[i]);
    case DType::kFloat32:
    case DType::kComplex64:
      return reinterpret_cast<const float*>(array.bytes().data())[i];
    case DType::kFloat64:
    case DType::kComplex128:
      return reinterpret_cast<const double*>(array.bytes().data())[i];
    default:
      return 0;
  }
}

// Names the first element that is not finite.  Only walked after a refusal.
Status not_summable(const ArrayRecord& arrays) {
  for (const auto& [name, array] : arrays) {
    const size_t reals = static_cast<size_t>(array.size()) * reals_per_element(array.dtype());
    for (size_t i = 0; i != reals; ++i) {
      const double value = real_at(array, i);
      if (!std::isfinite(value)) {
        return invalid_argument("array \"{}\": element {} is {}, expected a finite number", name,
                                i / reals_per_element(array.dtype()), value);
      }
    }
  }
  return invalid_argument("an array holds a number that is not finite");
}

}  // namespace

Status check_weight(double weight) {
  if (weight >= kWeightMin && weight <= kWeightMax) return absl::OkStatus();
  return invalid_argument("weight is {}, expected a positive number from {:.0e} to {:.0e}", weight,
                          kWeightMin, kWeightMax);
}

WeightedMean::WeightedMean(const ArrayRecord& layout) : layout_(layout) {
  for (size_t t = 0; t != layout_.size(); ++t) {
    const int64_t size = layout_.entry(t).second.size();
    for (int64_t first = 0; first < size; first += BlockSum::kElements) {
      const auto elements = std::min<int64_t>(BlockSum::kElements, size - first);
      blocks_.push_back({t, first, static_cast<size_t>(elements), {}});
    }
  }
}

uint32_t WeightedMean::add_to(Block& block, std::span<const Addend> addends, double sign) const {
  const DType dtype = layout_.entry(block.tensor).second.dtype();
  const size_t offset = static_cast<size_t>(block.first) * size_of(dtype);
  BlockSum::Piece pieces[BlockSum::kPiecesMax];
  for (size_t k = 0; k != addends.size(); ++k) {
    pieces[k] = {addends[k].arrays->entry(block.tensor).second.bytes().data() + offset,
                 sign * addends[k].weight};
  }
  return block.sum.add(dtype, {pieces, addends.size()}, block.elements);
}

std::vector<Status> WeightedMean::add_some(std::span<const Addend> addends, Parallel& parallel) {
  std::vector<Status> statuses(addends.size());
  std::vector<Addend> usable;
  std::vector<size_t> index;
  for (size_t k = 0; k != addends.size(); ++k) {
    statuses[k] = check_weight(addends[k].weight);
    if (statuses[k].ok()) statuses[k] = require_layout(*addends[k].arrays, layout_);
    if (!statuses[k].ok()) continue;
    usable.push_back(addends[k]);
    index.push_back(k);
  }
  // Blocks that found an addend bad, by addend; elsewhere its products were added and come out
  // again, to the last bit, by adding them negated.
  std::atomic<uint32_t> bad{0};
  absl::Mutex mutex;
  std::vector<std::pair<size_t, uint32_t>> bad_blocks;
  for_each_block(blocks_.size(), parallel, [&](size_t b) {
    const uint32_t refused = add_to(blocks_[b], usable, 1);
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
    std::vector<bool> added(blocks_.size(), true);
    for (const auto& [b, refused] : bad_blocks) added[b] = added[b] && !(refused >> k & 1);
    for (size_t b = 0; b != blocks_.size(); ++b) {
      if (!added[b]) continue;
      UMBEL_CHECK(add_to(blocks_[b], {&usable[k], 1}, -1) == 0);
      blocks_[b].sum.forget_empty();
    }
    statuses[index[k]] = not_summable(*usable[k].arrays);
  }
  for (Block& block : blocks_) block.sum.trim();
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
  UMBEL_CHECK(require_layout(other.layout_, layout_).ok());
  for (size_t b = 0; b != blocks_.size(); ++b) {
    const DType dtype = layout_.entry(blocks_[b].tensor).second.dtype();
    blocks_[b].sum.merge(other.blocks_[b].sum, blocks_[b].elements * reals_per_element(dtype));
  }
  weight_.add(other.weight_);
  count_ += other.count_;
}

Result<ArrayRecord> WeightedMean::finish(Parallel& parallel) const {
  if (count_ == 0) return failed_precondition("no update was counted: there is nothing to average");
  ArrayRecord mean;
  std::vector<std::byte*> outputs;
  for (const auto& [name, array] : layout_) {
    mean.set(name, Array::uninitialized(array.dtype(), array.shape()));
  }
  for (size_t t = 0; t != mean.size(); ++t) {
    outputs.push_back(mean.at(mean.entry(t).first).mutable_bytes().data());
  }
  const kernel::ExactSum::Pair divisor = weight_.pair();
  for_each_block(blocks_.size(), parallel, [&](size_t b) {
    const Block& block = blocks_[b];
    const DType dtype = layout_.entry(block.tensor).second.dtype();
    const size_t offset = static_cast<size_t>(block.first) * size_of(dtype);
    block.sum.mean(dtype, outputs[block.tensor] + offset, block.elements, divisor);
  });
  return mean;
}

size_t WeightedMean::byte_size() const {
  size_t bytes = sizeof *this;
  for (const Block& block : blocks_) bytes += sizeof block + block.sum.byte_size();
  return bytes;
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
    mean.set(name, std::move(out));
  }
  if (const size_t k = bad; k != addends.size()) {
    return annotate(not_summable(*addends[k].arrays), fmt::format("update {}", k));
  }
  return mean;
}

}  // namespace umbel::aggregate
