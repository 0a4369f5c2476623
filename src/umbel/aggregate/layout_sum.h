#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "umbel/aggregate/block_sum.h"
#include "umbel/record/layout.h"

namespace umbel::aggregate {

// The sums of a layout's arrays, block by block in the order of the blob (record/layout.h).  A
// value; a copy has sums of its own.
//
// Threads: distinct blocks may be used from distinct threads, each by one at a time.
class LayoutSum {
 public:
  explicit LayoutSum(std::shared_ptr<const Layout> layout);
  LayoutSum(const LayoutSum& other);
  LayoutSum(LayoutSum&&) noexcept = default;
  LayoutSum& operator=(LayoutSum other) noexcept;

  // Elements [first, first + elements) of one array.
  struct Block {
    uint32_t array;
    uint32_t elements;  // at most BlockSum::kElements
    int64_t first;
  };
  const Layout& layout() const { return *layout_; }
  size_t size() const { return blocks_.size(); }  // of blocks; arrays without elements have none
  const Block& block(size_t b) const { return blocks_[b]; }
  DType dtype(size_t b) const { return (*layout_)[blocks_[b].array].dtype; }
  // Of the block's first element, from the start of its array; and of all its elements.
  size_t offset(size_t b) const;
  size_t byte_size(size_t b) const;

  // As BlockSum has them, for block b.
  uint32_t add(size_t b, std::span<const BlockSum::Piece> pieces);
  void merge(size_t b, const LayoutSum& other);  // of the same layout
  void trim(size_t b) { sums_[b].trim(); }
  void forget_empty(size_t b) { sums_[b].forget_empty(); }
  void mean(size_t b, std::byte* out, const kernel::ExactSum::Pair& divisor) const;

  // Gives up block b's sums; its memory goes back to the system with that of its neighbours.
  void drop(size_t b);
  void clear();              // all of them
  size_t byte_size() const;  // of memory in use

 private:
  std::shared_ptr<const Layout> layout_;
  std::vector<Block> blocks_;
  std::vector<BlockSum> sums_;
};

}  // namespace umbel::aggregate
