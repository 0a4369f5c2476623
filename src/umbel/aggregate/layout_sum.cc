#include "umbel/aggregate/layout_sum.h"

#include <algorithm>
#include <new>
#include <tuple>
#include <utility>

#include "umbel/base/check.h"
#include "umbel/base/large_blocks.h"

namespace umbel::aggregate {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t aligned(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

void* allocate(size_t bytes) {
  if (bytes >= kLargeBytesMin) return allocate_large(bytes);
  return ::operator new(bytes, std::align_val_t(kAlignment));
}
void deallocate(void* memory, size_t bytes) {
  if (bytes >= kLargeBytesMin) return free_large(memory, bytes);
  ::operator delete(memory, std::align_val_t(kAlignment));
}

}  // namespace

LayoutSum::LayoutSum(std::shared_ptr<const Layout> layout) : layout_(std::move(layout)) {
  UMBEL_CHECK(layout_->size() <= UINT32_MAX);
  for (size_t array = 0; array != layout_->size(); ++array) {
    const int64_t size = (*layout_)[array].elements();
    for (int64_t first = 0; first < size; first += BlockSum::kElements) {
      const auto elements = std::min<int64_t>(BlockSum::kElements, size - first);
      blocks_.push_back({static_cast<uint32_t>(array), static_cast<uint32_t>(elements), first});
    }
  }
  place_homes();
}

void LayoutSum::place_homes() {
  sums_.resize(size());
  std::vector<std::pair<size_t, size_t>> stripes;  // bytes, last block
  for (size_t b = 0; b != size(); ++b) {
    const size_t reals = blocks_[b].elements * reals_per_element(dtype(b));
    const size_t bytes = aligned(Column::byte_size(width_of(dtype(b)), reals));
    if (stripes.empty() || stripes.back().first + bytes > kStripeBytes) stripes.push_back({});
    auto& [used, last_block] = stripes.back();
    sums_[b].stripe = static_cast<uint32_t>(stripes.size() - 1);
    sums_[b].place = static_cast<uint32_t>(used);
    used += bytes;
    last_block = b;
  }
  stripe_count_ = stripes.size();
  stripes_ = std::make_unique<Stripe[]>(stripe_count_);
  for (size_t i = 0; i != stripe_count_; ++i) {
    std::tie(stripes_[i].bytes, stripes_[i].last_block) = stripes[i];
  }
}

std::byte* LayoutSum::Stripe::memory() {
  std::byte* there = memory_.load(std::memory_order_acquire);
  if (there) return there;
  auto* fresh = static_cast<std::byte*>(allocate(bytes));
  if (memory_.compare_exchange_strong(there, fresh, std::memory_order_acq_rel)) return fresh;
  deallocate(fresh, bytes);  // another thread was first
  return there;
}

void LayoutSum::Stripe::release() {
  if (std::byte* memory = memory_.exchange(nullptr)) deallocate(memory, bytes);
}

LayoutSum::LayoutSum(const LayoutSum& other) : LayoutSum(other.layout_) {
  for (size_t b = 0; b != size(); ++b) merge(b, other);
}

LayoutSum& LayoutSum::operator=(LayoutSum other) noexcept {
  std::swap(layout_, other.layout_);
  std::swap(blocks_, other.blocks_);
  std::swap(sums_, other.sums_);
  std::swap(stripe_count_, other.stripe_count_);
  std::swap(stripes_, other.stripes_);
  return *this;
}

size_t LayoutSum::offset(size_t b) const {
  return static_cast<size_t>(blocks_[b].first) * size_of(dtype(b));
}
size_t LayoutSum::byte_size(size_t b) const { return blocks_[b].elements * size_of(dtype(b)); }

uint32_t LayoutSum::add(size_t b, std::span<const BlockSum::Piece> pieces) {
  return sums_[b].sum.add(dtype(b), pieces, blocks_[b].elements, home(b));
}

void LayoutSum::merge(size_t b, const LayoutSum& other) {
  const BlockSum& theirs = other.sums_[b].sum;
  if (!theirs.empty()) sums_[b].sum.merge(theirs, home(b));
}

void LayoutSum::mean(size_t b, std::byte* out, const kernel::ExactSum::Pair& divisor) const {
  sums_[b].sum.mean(dtype(b), out, blocks_[b].elements, divisor);
}

void LayoutSum::drop(size_t b) {
  sums_[b].sum = BlockSum();
  Stripe& stripe = stripes_[sums_[b].stripe];
  if (b == stripe.last_block) stripe.release();
}

void LayoutSum::clear() {
  for (size_t b = 0; b != size(); ++b) drop(b);
}

size_t LayoutSum::byte_size() const {
  size_t bytes = blocks_.size() * (sizeof(Block) + sizeof(Sum)) + stripe_count_ * sizeof(Stripe);
  for (const Sum& sum : sums_) bytes += sum.sum.byte_size() - sizeof(BlockSum);
  for (size_t i = 0; i != stripe_count_; ++i) bytes += stripes_[i].held() ? stripes_[i].bytes : 0;
  return bytes;
}

}  // namespace umbel::aggregate
