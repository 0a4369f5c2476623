#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace umbel {

// A 64-bit id that cannot be mistaken for another kind of id or for a count.
template <class Tag>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(uint64_t value) : value_(value) {}
  constexpr uint64_t value() const { return value_; }
  friend constexpr auto operator<=>(Id, Id) = default;

 private:
  uint64_t value_ = 0;
};

using RunId = Id<struct RunTag>;
using MessageId = Id<struct MessageTag>;
// A client of the federation.  In a simulation of N clients the ids are 0 to N-1.
using NodeId = Id<struct NodeTag>;

// The ServerApp's own address in a message.
inline constexpr NodeId kServerNode{UINT64_MAX};

}  // namespace umbel

template <class Tag>
struct std::hash<umbel::Id<Tag>> {
  std::size_t operator()(umbel::Id<Tag> id) const { return std::hash<uint64_t>()(id.value()); }
};
