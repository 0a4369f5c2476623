#include "umbel/record/npy.h"

#include <span>
#include <string>

#include "umbel/base/check.h"

// What parses must come back the same from the bytes that we would write for it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace umbel;
  const Result<Array> array = parse_npy(Buffer::copy_of(std::as_bytes(std::span(data, size))));
  if (!array.ok()) return 0;
  UMBEL_CHECK(array->byte_size() <= size);
  std::string file = format_npy_header(*array).value();
  file.append(reinterpret_cast<const char*>(array->bytes().data()), array->byte_size());
  const Result<Array> again = parse_npy(Buffer::copy_of(std::as_bytes(std::span(file))));
  UMBEL_CHECK(again.ok() && *again == *array);
  return 0;
}
