#include <string>

#include "umbel/base/check.h"
#include "umbel/wire/fleet.h"

// What parses must come back in the same bytes from the bytes that say it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace umbel::wire;
  const auto frame = parse_hub_frame(std::as_bytes(std::span(data, size)));
  if (!frame.ok()) return 0;
  const std::string bytes = format(*frame);
  const auto again = parse_hub_frame(std::as_bytes(std::span(bytes)));
  UMBEL_CHECK(again.ok() && format(*again) == bytes);
  return 0;
}
