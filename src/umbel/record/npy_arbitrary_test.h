#pragma once

#include <rapidcheck.h>

#include <string>
#include <utility>
#include <vector>

#include "umbel/base/rng.h"
#include "umbel/record/record.h"

namespace umbel {

// Any array of at most 5 dimensions of extents 0 to 4, of a dtype that `allowed` admits; any bytes
// (bool: 0 and 1).
template <class Allowed>
Array arbitrary_array(Allowed allowed) {
  const auto dtype = *rc::gen::suchThat(
      rc::gen::map(rc::gen::inRange(0, kDTypeCount), [](int i) { return static_cast<DType>(i); }),
      allowed);
  const int rank = *rc::gen::inRange(0, 6);
  Shape shape;
  for (int i = 0; i != rank; ++i) shape.push_back(*rc::gen::inRange<int64_t>(0, 5));
  Array array = Array::uninitialized(dtype, std::move(shape));
  Rng rng(*rc::gen::arbitrary<uint64_t>());
  for (std::byte& byte : array.mutable_bytes()) {
    byte = static_cast<std::byte>(rng.below(dtype == DType::kBool ? 2 : 256));
  }
  return array;
}

// Up to 6 such arrays under distinct names, quotes and letters beyond ASCII among them.
template <class Allowed>
ArrayRecord arbitrary_record(Allowed allowed) {
  static const std::string kNames[] = {"weight", "a/b.c", "", "\"q\\uote\"", "gr\xc3\xbc\xc3\x9f",
                                       "x y"};
  ArrayRecord arrays;
  for (const int i : *rc::gen::unique<std::vector<int>>(rc::gen::inRange(0, 6))) {
    arrays.set(kNames[i], arbitrary_array(allowed));
  }
  return arrays;
}

inline Buffer bytes_of(std::string_view text) {
  return Buffer::copy_of(std::as_bytes(std::span(text)));
}
inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The most bytes that one `new` on this thread asked for while it lives; 0 under a sanitizer,
// which keeps `new` to itself.
class LargestAllocation {
 public:
  LargestAllocation();
  size_t bytes() const;
};

// The file of an .npy header spelt `dict`, and `data_bytes` zeros.
inline std::string npy_file(const std::string& dict, size_t data_bytes, char version = 1) {
  std::string file("\x93NUMPY", 6);
  file += version;
  file += '\0';
  for (size_t i = 0; i != (version == 1 ? 2 : 4); ++i) {
    file += static_cast<char>(dict.size() >> (8 * i));
  }
  return file + dict + std::string(data_bytes, '\0');
}

}  // namespace umbel
