#include "umbel/aggregate/layout_sum.h"

#include <algorithm>

#include "umbel/base/check.h"

namespace umbel::aggregate {

LayoutSum::LayoutSum(std::shared_ptr<const Layout> layout) : layout_(std::move(layout)) {
  UMBEL_CHECK(layout_->size() <= UINT32_MAX);
  for (size_t array = 0; array != layout_->size(); ++array) {
    const int64_t size = (*layout_)[array].elements();
    for (int64_t first = 0; first < size; first += BlockSum::kElements) {
      const auto elements = std::min<int64_t>(BlockSum::kElements, size - first);
      blocks_.push_back({static_cast<uint32_t>(array), static_cast<uint32_t>(elements), first});
    }
  }
  sums_.resize(blocks_.size());
}

LayoutSum::LayoutSum(const LayoutSum& other) : LayoutSum(other.layout_) {
  for (size_t b = 0; b != size(); ++b) merge(b, other);
}

LayoutSum& LayoutSum::operator=(LayoutSum other) noexcept {
  std::swap(layout_, other.layout_);
  std::swap(blocks_, other.blocks_);
  std::swap(sums_, other.sums_);
  return *this;
}

size_t LayoutSum::offset(size_t b) const {
  return static_cast<size_t>(blocks_[b].first) * size_of(dtype(b));
}
size_t LayoutSum::byte_size(size_t b) const { return blocks_[b].elements * size_of(dtype(b)); }

uint32_t LayoutSum::add(size_t b, std::span<const BlockSum::Piece> pieces) {
  return sums_[b].add(dtype(b), pieces, blocks_[b].elements);
}

void LayoutSum::merge(size_t b, const LayoutSum& other) {
  sums_[b].merge(other.sums_[b], blocks_[b].elements * reals_per_element(dtype(b)));
}

void LayoutSum::mean(size_t b, std::byte* out, const kernel::ExactSum::Pair& divisor) const {
  sums_[b].mean(dtype(b), out, blocks_[b].elements, divisor);
}

void LayoutSum::drop(size_t b) { sums_[b] = BlockSum(); }
void LayoutSum::clear() {
  for (size_t b = 0; b != size(); ++b) drop(b);
}

size_t LayoutSum::byte_size() const {
  size_t bytes = blocks_.size() * sizeof(Block);
  for (const BlockSum& sum : sums_) bytes += sum.byte_size();
  return bytes;
}

}  // namespace umbel::aggregate
