#include "umbel/data/idx.h"

#include <algorithm>
#include <span>
#include <string>

#include "umbel/base/check.h"
#include "umbel/data/gzip.h"

namespace {

using namespace umbel;

char type_code(DType dtype) {
  switch (dtype) {
    case DType::kUint8:
      return 0x08;
    case DType::kInt8:
      return 0x09;
    case DType::kInt16:
      return 0x0B;
    case DType::kInt32:
      return 0x0C;
    case DType::kFloat32:
      return 0x0D;
    default:
      return 0x0E;
  }
}

std::string format_idx(const Array& array) {
  std::string file{0, 0, type_code(array.dtype()), static_cast<char>(array.shape().size())};
  for (const int64_t extent : array.shape()) {
    for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(extent >> shift);
  }
  const size_t start = file.size();
  file.append(reinterpret_cast<const char*>(array.bytes().data()), array.byte_size());
  const size_t width = size_of(array.dtype());
  for (size_t at = start; at != file.size(); at += width) {
    std::reverse(file.data() + at, file.data() + at + width);
  }
  return file;
}

}  // namespace

// What parses, packed or not, must come back the same from the plain bytes that we write for it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<Array> array = data::parse_idx(std::as_bytes(std::span(data, size)), "input");
  if (!array.ok()) return 0;
  UMBEL_CHECK(array->byte_size() / data::kGzipExpansionMax <= size);
  const std::string file = format_idx(*array);
  const Result<Array> again = data::parse_idx(std::as_bytes(std::span(file)), "again");
  UMBEL_CHECK(again.ok() && *again == *array);
  return 0;
}
