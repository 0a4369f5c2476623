#pragma once

#include <atomic>
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
// Memory: each block has a home for one column of sums.  Homes lie in stripes of up to
// kStripeBytes, which are taken when a block of theirs is first added to; where blocks need more
// columns, these have memory of their own.
//
// Threads: distinct blocks may be used from distinct threads, each by one at a time.
class LayoutSum {
 public:
  static constexpr size_t kStripeBytes = size_t{8} << 20;  // whole pages of 2 MiB

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
  void trim(size_t b) { sums_[b].sum.trim(); }
  void forget_empty(size_t b) { sums_[b].sum.forget_empty(); }
  void mean(size_t b, std::byte* out, const kernel::ExactSum::Pair& divisor) const;

  // Gives up block b's sums; one thread drops all blocks in their order.  The memory of a stripe
  // goes back with its last block.
  void drop(size_t b);
  void clear();              // all of them; one thread
  size_t byte_size() const;  // of memory in use

 private:
  // Memory for homes, or none yet.
  class Stripe {
   public:
    ~Stripe() { release(); }
    std::byte* memory();  // any thread
    void release();       // one thread

    size_t bytes = 0;
    size_t last_block = 0;
    bool held() const { return memory_ != nullptr; }

   private:
    std::atomic<std::byte*> memory_{nullptr};
  };
  struct Sum {
    BlockSum sum;
    uint32_t stripe = 0;
    uint32_t place = 0;  // in the stripe, bytes
  };
  void place_homes();
  std::byte* home(size_t b) { return stripes_[sums_[b].stripe].memory() + sums_[b].place; }

  std::shared_ptr<const Layout> layout_;
  std::vector<Block> blocks_;
  std::vector<Sum> sums_;
  size_t stripe_count_ = 0;
  std::unique_ptr<Stripe[]> stripes_;
};

}  // namespace umbel::aggregate
