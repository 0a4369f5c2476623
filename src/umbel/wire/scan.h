#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "umbel/base/status.h"

namespace umbel::wire {

// Which fields of a message hold messages, and which.
struct Form {
  struct Field {
    uint32_t number;
    const Form* form;
  };
  std::span<const Field> messages = {};
};

extern const Form kNodeFrameForm, kHubFrameForm, kDaemonFrameForm, kAppFrameForm;

// Fields of a frame that have a length of their own: two bytes on the wire become an object in
// memory, so their number is limited before a parser makes the objects.
inline constexpr size_t kLengthFieldsMax = 1'000'000;

// Walks over an encoded message without allocating.  INVALID_ARGUMENT if it is not well-formed or
// uses groups, RESOURCE_EXHAUSTED if it has more fields than that.
Status scan(std::span<const std::byte> bytes, const Form& form);

}  // namespace umbel::wire
