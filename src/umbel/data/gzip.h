#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "umbel/base/status.h"

namespace umbel::data {

// Deflate cannot expand further than this (zlib's own figure), so a gzip file that must hold N
// bytes is at least N / kGzipExpansionMax long: checked before anything of N bytes is allocated.
inline constexpr size_t kGzipExpansionMax = 1032;

// True if `bytes` start like a gzip file (RFC 1952).
bool is_gzip(std::span<const std::byte> bytes);

// Unpacks one gzip member into memory of the caller's: it cannot produce more than was asked for.
// The compressed bytes must outlive it.  After an error the object is spent.
class Gunzip {
 public:
  explicit Gunzip(std::span<const std::byte> compressed);
  ~Gunzip();

  // Fills `out` with the next bytes; DATA_LOSS if there are fewer or they are damaged.
  Status read(std::span<std::byte> out);
  // DATA_LOSS unless everything was read, the checksum is right and nothing follows.
  Status finish();

 private:
  struct State;
  Status step(std::span<std::byte>& out);

  std::unique_ptr<State> state_;
};

}  // namespace umbel::data
