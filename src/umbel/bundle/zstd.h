#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "umbel/base/status.h"

namespace umbel::bundle {

// OK if the bytes are one Zstandard frame (RFC 8878) from the first byte to the last, not a
// skippable one, without a dictionary, with a window of at most kWindowBytesMax: no other frames or
// bytes before, between or after, and a bound for the memory that unpacking takes.
inline constexpr uint64_t kWindowBytesMax = 8 << 20;
Status require_one_frame(std::span<const std::byte> bytes);

// Makes one frame; the same bytes give the same frame.
class Compressor {
 public:
  Compressor();
  ~Compressor();
  Status add(std::span<const std::byte> bytes);
  Result<std::string> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Reads a frame that require_one_frame() takes and that is not empty, in pieces; the bytes stay the
// caller's.
class Decompressor {
 public:
  explicit Decompressor(std::span<const std::byte> frame);
  ~Decompressor();
  // The next bytes, at most `most` of them; none at the end.  The span is good until the next call.
  Result<std::span<const std::byte>> next(size_t most);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace umbel::bundle
