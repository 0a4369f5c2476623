#include "umbel/record/npz.h"

#include <algorithm>
#include <span>

#include "umbel/base/check.h"

// What parses keeps to the limits, and comes back the same from the archive that we would write.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace umbel;
  const Result<ArrayRecord> arrays =
      parse_npz(Buffer::copy_of(std::as_bytes(std::span(data, size))));
  if (!arrays.ok()) return 0;
  UMBEL_CHECK(arrays->size() <= kNpzEntriesMax);
  UMBEL_CHECK(arrays->byte_size() <= std::max<uint64_t>(kNpzSmallBytes, kNpzRatioMax * size));
  const Result<Buffer> file = format_npz(*arrays);
  UMBEL_CHECK(file.ok());
  const Result<ArrayRecord> again = parse_npz(*file);
  UMBEL_CHECK(again.ok() && *again == *arrays);
  return 0;
}
