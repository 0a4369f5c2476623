#include "umbel/population/cycle.h"

#include <algorithm>

#include "umbel/base/rng.h"

namespace umbel {

bool Cycle::comes(int64_t number) const {
  if (share >= 1) return true;
  const uint64_t bits = derive_seed(seed, {client, purpose, static_cast<uint64_t>(number)});
  return static_cast<double>(bits >> 11) * 0x1p-53 < share;
}

bool Cycle::there(VirtualTime now) const {
  const VirtualTime at = now + offset;
  return at % length < window && comes(at / length);
}

VirtualTime Cycle::stays_until(VirtualTime now, VirtualTime horizon) const {
  int64_t number = (now + offset) / length;
  VirtualTime end = number * length + window - offset;
  if (window < length) return end;
  if (share >= 1) return VirtualTime::max();
  while (end <= horizon && comes(++number)) end += length;
  return end;
}

std::optional<VirtualTime> Cycle::next(VirtualTime now, VirtualTime horizon) const {
  if (share <= 0) return std::nullopt;
  const VirtualTime at = now + offset;
  for (int64_t number = at / length + (at % length < window ? 0 : 1);; ++number) {
    const VirtualTime opens = std::max(now, number * length - offset);
    if (opens > horizon) return std::nullopt;
    if (comes(number)) return opens;
  }
}

}  // namespace umbel
