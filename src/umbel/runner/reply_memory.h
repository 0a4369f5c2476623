#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "umbel/base/buffer.h"
#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"

namespace umbel::runner {

// Memory that a simulation and one worker both see, for the bytes of replies' arrays: made once
// instead of for each reply, which would cost several times what copying the bytes does.  It cannot
// shrink, so that reading it is safe; the worker writes to a place only while it is told that it
// may, and is as trusted with the numbers in it as with the code that makes them.

// The simulation's end: places of one size.
class ReplyPlaces : public std::enable_shared_from_this<ReplyPlaces> {
 public:
  // For replies of this size: as many places as a fold holds replies back.  RESOURCE_EXHAUSTED.
  static Result<std::shared_ptr<ReplyPlaces>> make(uint64_t bytes);
  ~ReplyPlaces();
  ReplyPlaces(const ReplyPlaces&) = delete;
  ReplyPlaces& operator=(const ReplyPlaces&) = delete;

  uint64_t size() const { return place_bytes_ * count_; }
  uint64_t place_bytes() const { return place_bytes_; }
  // For the worker; not needed here any more.
  Descriptor take_descriptor() { return std::move(descriptor_); }

  // A place that nobody uses, or nothing.  One thread.
  std::optional<size_t> take();
  void release(size_t place);  // any thread
  uint64_t offset(size_t place) const { return place * place_bytes_; }
  // What was put there; the place is released with the last copy of the buffer.
  Buffer bytes(size_t place, uint64_t size);

 private:
  ReplyPlaces(Descriptor descriptor, uint64_t place_bytes, size_t count, const std::byte* memory);

  Descriptor descriptor_;
  const uint64_t place_bytes_;
  const size_t count_;
  const std::byte* const memory_;
  std::atomic<uint32_t> used_{0};  // a bit for each
};

// The worker's end.
class ReplyMemory {
 public:
  // INVALID_ARGUMENT unless it is memory of this size that cannot shrink.
  static Result<ReplyMemory> adopt(Descriptor descriptor, uint64_t size);
  ReplyMemory() = default;
  ReplyMemory(ReplyMemory&& other) noexcept;
  ReplyMemory& operator=(ReplyMemory&& other) noexcept;
  ~ReplyMemory();

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace umbel::runner
