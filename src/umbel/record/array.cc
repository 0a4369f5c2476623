#include "umbel/record/array.h"

#include <fmt/core.h>

#include <utility>

namespace umbel {

namespace {

constexpr int64_t kElementsMax = int64_t{1} << 48;

// For shapes that were checked already.
int64_t product(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

}  // namespace

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i != shape.size(); ++i) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

Result<int64_t> element_count(const Shape& shape) {
  int64_t count = 1;
  bool zero = false;
  for (const int64_t extent : shape) {
    if (extent < 0) return invalid_argument("shape {} has a negative extent", to_string(shape));
    if (extent == 0) {
      zero = true;
    } else if (count > kElementsMax / extent) {
      return invalid_argument("shape {} asks for more than 2^48 elements", to_string(shape));
    } else {
      count *= extent;
    }
  }
  return zero ? 0 : count;
}

Array::Array(DType dtype, Shape shape, Buffer buffer)
    : dtype_(dtype), shape_(std::move(shape)), size_(product(shape_)), buffer_(std::move(buffer)) {}

Result<Array> Array::make(DType dtype, Shape shape, Buffer buffer) {
  UMBEL_ASSIGN_OR_RETURN(const int64_t count, element_count(shape));
  const size_t expected = static_cast<size_t>(count) * size_of(dtype);
  if (buffer.size() != expected) {
    return invalid_argument("array of {}{} takes {} bytes, got {}", name_of(dtype),
                            to_string(shape), expected, buffer.size());
  }
  if (reinterpret_cast<uintptr_t>(buffer.data()) % alignment_of(dtype) != 0)
    buffer = buffer.clone();
  return Array(dtype, std::move(shape), std::move(buffer));
}

Array Array::zeros(DType dtype, Shape shape) {
  const int64_t count = or_throw(element_count(shape));
  return Array(dtype, std::move(shape), Buffer::zeros(static_cast<size_t>(count) * size_of(dtype)));
}

Array Array::uninitialized(DType dtype, Shape shape) {
  const int64_t count = or_throw(element_count(shape));
  return Array(dtype, std::move(shape),
               Buffer::allocate(static_cast<size_t>(count) * size_of(dtype)));
}

Array Array::reshaped(Shape shape) const {
  return or_throw(make(dtype_, std::move(shape), buffer_));
}

std::string Array::describe() const {
  return fmt::format("{}{}", name_of(dtype_), to_string(shape_));
}

void Array::throw_wrong_dtype(DType asked) const {
  throw Error(invalid_argument("array is {}, it was read as {}", describe(), name_of(asked)));
}

}  // namespace umbel
