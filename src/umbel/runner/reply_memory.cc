#include "umbel/runner/reply_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "umbel/aggregate/fold.h"

namespace umbel::runner {

namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

size_t places_for(uint64_t bytes) {
  const uint64_t held = aggregate::Fold::kBatchBytesMax;
  if (bytes >= held) return 1;
  return std::min<size_t>(aggregate::Fold::kBatchMax + 1, static_cast<size_t>(held / bytes) + 2);
}

}  // namespace

Result<std::shared_ptr<ReplyPlaces>> ReplyPlaces::make(uint64_t bytes) {
  const uint64_t place_bytes = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  const size_t count = places_for(place_bytes);
  const auto size = static_cast<size_t>(place_bytes * count);
  Descriptor memory(::memfd_create("umbel-replies", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory || ::fallocate(memory.get(), 0, 0, static_cast<off_t>(size)) != 0 ||
      ::fcntl(memory.get(), F_ADD_SEALS, kSizeSeals) != 0) {
    return resource_exhausted("shared memory of {} bytes: {}", size, std::strerror(errno));
  }
  void* place = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, memory.get(), 0);
  if (place == MAP_FAILED) {
    return resource_exhausted("shared memory of {} bytes: cannot map: {}", size,
                              std::strerror(errno));
  }
  return std::shared_ptr<ReplyPlaces>(
      new ReplyPlaces(std::move(memory), place_bytes, count, static_cast<const std::byte*>(place)));
}

ReplyPlaces::ReplyPlaces(Descriptor descriptor, uint64_t place_bytes, size_t count,
                         const std::byte* memory)
    : descriptor_(std::move(descriptor)),
      place_bytes_(place_bytes),
      count_(count),
      memory_(memory) {}

ReplyPlaces::~ReplyPlaces() { ::munmap(const_cast<std::byte*>(memory_), size()); }

std::optional<size_t> ReplyPlaces::take() {
  const auto place = static_cast<size_t>(std::countr_one(used_.load(std::memory_order_acquire)));
  if (place >= count_) return std::nullopt;
  used_.fetch_or(1U << place, std::memory_order_relaxed);
  return place;
}

void ReplyPlaces::release(size_t place) {
  used_.fetch_and(~(1U << place), std::memory_order_release);
}

Buffer ReplyPlaces::bytes(size_t place, uint64_t size) {
  return Buffer::adopt({memory_ + offset(place), static_cast<size_t>(size)},
                       [held = shared_from_this(), place] { held->release(place); });
}

Result<ReplyMemory> ReplyMemory::adopt(Descriptor descriptor, uint64_t size) {
  struct stat info {};
  const int seals = ::fcntl(descriptor.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(descriptor.get(), &info) != 0 ||
      size == 0 || static_cast<uint64_t>(info.st_size) != size) {
    return invalid_argument("the memory for replies: expected {} bytes that cannot shrink", size);
  }
  void* place = ::mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED,
                       descriptor.get(), 0);
  if (place == MAP_FAILED) {
    return resource_exhausted("shared memory of {} bytes: cannot map: {}", size,
                              std::strerror(errno));
  }
  ReplyMemory memory;
  memory.bytes_ = {static_cast<std::byte*>(place), static_cast<size_t>(size)};
  return memory;
}

ReplyMemory::ReplyMemory(ReplyMemory&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
ReplyMemory& ReplyMemory::operator=(ReplyMemory&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}
ReplyMemory::~ReplyMemory() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace umbel::runner
