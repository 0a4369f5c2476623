#pragma once

#include <cstddef>
#include <cstdint>

#include "umbel/base/buffer.h"
#include "umbel/kernel/exact_fold.h"

namespace umbel::aggregate {

// The sums of all products on one grid (kernel/exact_fold.h), and their carries once there are more
// products than the sums hold.  Narrow: 8 bytes a real number, 12 from the 256th product on.  Wide:
// 12 bytes, 20 from the 65,537th product on.
class Column {
 public:
  enum Width { kNarrow, kWide };
  static size_t byte_size(Width width, size_t reals) { return reals * (width == kNarrow ? 8 : 12); }

  // Zeros.  `home`: memory for byte_size() bytes that outlives the column and is its alone;
  // nullptr: the column has its own.
  Column(Width width, int exponent, size_t reals, std::byte* home = nullptr);
  Column(Column&&) noexcept = default;
  Column& operator=(Column&&) noexcept = default;
  // As new, in the same memory.
  void reset(int exponent);

  int exponent() const { return exponent_; }
  Width width() const { return width_; }
  size_t reals() const { return reals_; }
  const std::byte* memory() const { return sums_; }
  bool owns_memory() const { return !own_.empty(); }
  int64_t pieces() const { return pieces_; }                          // added less taken out
  size_t byte_size() const { return own_.size() + carries_.size(); }  // beside its home

  // Before `products` are added to each sum, of which `pieces` (as in pieces()).
  void make_room(uint64_t products, int64_t pieces);
  int64_t* sums() { return reinterpret_cast<int64_t*>(sums_); }  // narrow, or hi
  uint32_t* lo() { return reinterpret_cast<uint32_t*>(sums() + reals_); }
  void merge(const Column& other);  // of the same width, grid and size

  // For kernel::Loops::mean_float; narrow ones only.
  kernel::Column view() const;
  // Sum i in units of unit().
  __int128 value(size_t i) const;
  int unit() const {
    return exponent_ - (width_ == kNarrow ? kernel::kNarrowBits : kernel::kWideBits);
  }

 private:
  const int64_t* sums() const { return reinterpret_cast<const int64_t*>(sums_); }
  const uint32_t* lo() const { return reinterpret_cast<const uint32_t*>(sums() + reals_); }
  template <class Top>
  const Top* top() const {
    return reinterpret_cast<const Top*>(carries_.data());
  }
  template <class Top>
  Top* top() {
    return reinterpret_cast<Top*>(carries_.mutable_bytes().data());
  }
  void carry();
  void merge_narrow(const Column& other);
  void merge_wide(const Column& other);

  int exponent_;
  Width width_;
  uint32_t products_ = 0;  // that the sums may hold at most
  uint32_t reals_;
  int64_t pieces_ = 0;
  std::byte* sums_;
  Buffer own_;      // where sums_ points without a home
  Buffer carries_;  // narrow: int32, of 2^60 units; wide: int64, of 2^40 of hi; empty until needed
};

}  // namespace umbel::aggregate
