#include <cstring>

#include "dlpack.h"

namespace umbel::python::dlpack {

namespace {

void copy_axis(std::byte*& to, const std::byte* from, const Shape& shape, const Shape& strides,
               size_t axis, size_t item) {
  if (axis == shape.size()) {
    std::memcpy(to, from, item);
    to += item;
    return;
  }
  if (axis + 1 == shape.size() && strides[axis] == static_cast<int64_t>(item)) {
    const size_t bytes = static_cast<size_t>(shape[axis]) * item;
    std::memcpy(to, from, bytes);
    to += bytes;
    return;
  }
  for (int64_t i = 0; i != shape[axis]; ++i) {
    copy_axis(to, from + i * strides[axis], shape, strides, axis + 1, item);
  }
}

}  // namespace

bool is_packed(const Shape& shape, const Shape& strides, size_t item) {
  int64_t expected = static_cast<int64_t>(item);
  for (size_t axis = shape.size(); axis-- != 0;) {
    if (shape[axis] == 0) return true;
    if (shape[axis] != 1 && strides[axis] != expected) return false;
    expected *= shape[axis];
  }
  return true;
}

Buffer packed(const std::byte* data, const Shape& shape, const Shape& strides, size_t item) {
  const auto elements = static_cast<size_t>(or_throw(element_count(shape)));
  Buffer buffer = Buffer::allocate(elements * item);
  if (elements == 0) return buffer;
  std::byte* to = buffer.mutable_bytes().data();
  copy_axis(to, data, shape, strides, 0, item);
  return buffer;
}

}  // namespace umbel::python::dlpack
