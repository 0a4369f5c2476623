#include "umbel/aggregate/column.h"

#include <cstring>

namespace umbel::aggregate {

namespace {

constexpr uint64_t kNarrowMax = kernel::kNarrowProductsMax;
constexpr uint64_t kWideMax = kernel::kWideProductsMax / 2;
constexpr int64_t kNarrowMask = (int64_t{1} << kernel::kTopShift) - 1;
// A carried sum is below 2^60: as much as this many products.
constexpr uint32_t kNarrowCarried = 1u << (kernel::kTopShift - kernel::kNarrowBits);
constexpr int kWideTopShift = 40;
constexpr int64_t kWideMask = (int64_t{1} << kWideTopShift) - 1;

}  // namespace

Column::Column(Width width, int exponent, size_t reals, std::byte* home)
    : exponent_(exponent), width_(width), reals_(static_cast<uint32_t>(reals)), sums_(home) {
  if (!home) {
    own_ = Buffer::allocate(byte_size(width, reals));
    sums_ = own_.mutable_bytes().data();
  }
  std::memset(sums_, 0, byte_size(width, reals));
}

void Column::reset(int exponent) {
  exponent_ = exponent;
  products_ = 0;
  pieces_ = 0;
  carries_ = Buffer();
  std::memset(sums_, 0, byte_size(width_, reals_));
}

void Column::make_room(uint64_t products, int64_t pieces) {
  pieces_ += pieces;
  if (products_ + products > (width_ == kNarrow ? kNarrowMax : kWideMax)) carry();
  products_ += static_cast<uint32_t>(products);
}

// Moves all but the low bits of the sums into the carries.
void Column::carry() {
  int64_t* sum = sums();
  if (width_ == kNarrow) {
    if (carries_.empty()) carries_ = Buffer::zeros(reals_ * sizeof(int32_t));
    auto* carries = top<int32_t>();
    for (size_t i = 0; i != reals_; ++i) {
      carries[i] += static_cast<int32_t>(sum[i] >> kernel::kTopShift);
      sum[i] &= kNarrowMask;
    }
    products_ = kNarrowCarried;
  } else {
    if (carries_.empty()) carries_ = Buffer::zeros(reals_ * sizeof(int64_t));
    auto* carries = top<int64_t>();
    for (size_t i = 0; i != reals_; ++i) {
      carries[i] += sum[i] >> kWideTopShift;
      sum[i] &= kWideMask;
    }
    products_ = 1;
  }
}

void Column::merge(const Column& other) {
  pieces_ += other.pieces_;
  if (width_ == kNarrow) {
    merge_narrow(other);
  } else {
    merge_wide(other);
  }
}

void Column::merge_narrow(const Column& other) {
  int64_t* sum = sums();
  if (other.carries_.empty() && products_ + other.products_ <= kNarrowMax) {
    for (size_t i = 0; i != reals_; ++i) sum[i] += other.sums()[i];
    products_ += other.products_;
    return;
  }
  carry();
  auto* carries = top<int32_t>();
  const auto* theirs = other.carries_.empty() ? nullptr : other.top<int32_t>();
  for (size_t i = 0; i != reals_; ++i) {
    const int64_t added = other.sums()[i];
    sum[i] += added & kNarrowMask;
    carries[i] += static_cast<int32_t>(added >> kernel::kTopShift) + (theirs ? theirs[i] : 0);
  }
  products_ += kNarrowCarried;
}

void Column::merge_wide(const Column& other) {
  if (products_ + other.products_ > kWideMax) carry();
  products_ += other.products_;
  if (!other.carries_.empty() && carries_.empty()) {
    carries_ = Buffer::zeros(reals_ * sizeof(int64_t));
  }
  int64_t* sum = sums();
  uint32_t* fraction = lo();
  for (size_t i = 0; i != reals_; ++i) {
    const uint64_t low = uint64_t{fraction[i]} + other.lo()[i];
    fraction[i] = static_cast<uint32_t>(low);
    sum[i] += other.sums()[i] + static_cast<int64_t>(low >> 32);
  }
  if (other.carries_.empty()) return;
  auto* carries = top<int64_t>();
  for (size_t i = 0; i != reals_; ++i) carries[i] += other.top<int64_t>()[i];
}

kernel::Column Column::view() const {
  return {sums(), carries_.empty() ? nullptr : top<int32_t>(), exponent_};
}

__int128 Column::value(size_t i) const {
  __int128 units = sums()[i];
  if (width_ == kNarrow) {
    if (carries_.empty()) return units;
    return units + static_cast<__int128>(top<int32_t>()[i]) * (int64_t{1} << kernel::kTopShift);
  }
  if (!carries_.empty()) {
    units += static_cast<__int128>(top<int64_t>()[i]) * (int64_t{1} << kWideTopShift);
  }
  return units * (int64_t{1} << 32) + lo()[i];
}

}  // namespace umbel::aggregate
