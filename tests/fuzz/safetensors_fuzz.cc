#include "umbel/record/safetensors.h"

#include <span>
#include <string>

#include "umbel/base/check.h"

// What parses must come back the same from the bytes that we would write for it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace umbel;
  const Result<ArrayRecord> arrays =
      parse_safetensors(Buffer::copy_of(std::as_bytes(std::span(data, size))));
  if (!arrays.ok()) return 0;
  UMBEL_CHECK(arrays->byte_size() <= size);
  std::string file = safetensors_header(*arrays).value();
  for (const auto& [name, array] : *arrays) {
    file.append(reinterpret_cast<const char*>(array.bytes().data()), array.byte_size());
  }
  const Result<ArrayRecord> again =
      parse_safetensors(Buffer::copy_of(std::as_bytes(std::span(file))));
  UMBEL_CHECK(again.ok() && *again == *arrays);
  return 0;
}
