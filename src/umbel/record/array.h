#pragma once

#include <absl/container/inlined_vector.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "umbel/base/buffer.h"
#include "umbel/base/error.h"
#include "umbel/record/dtype.h"

namespace umbel {

// Extents, outermost first (C order).  Empty for a scalar; an extent may be 0.
using Shape = absl::InlinedVector<int64_t, 4>;

std::string to_string(const Shape& shape);  // "[64,3,3,3]"
// The number of elements, or INVALID_ARGUMENT for a negative extent, or if the extents that are not
// 0 multiply to more than 2^48 (also where the array has no elements, so that strides never
// overflow).
Result<int64_t> element_count(const Shape& shape);

// A dense tensor: dtype, shape and C-ordered little-endian bytes.  A value: copies share the bytes,
// and writing through mutable_view() copies them first where they are shared.
// Threads: as for Buffer.
class Array {
 public:
  Array() : Array(DType::kFloat32, {0}, Buffer()) {}
  // INVALID_ARGUMENT unless `buffer` has exactly the bytes that dtype and shape ask for.  No copy,
  // unless the bytes are misaligned for the dtype: view() would be undefined then.
  static Result<Array> make(DType dtype, Shape shape, Buffer buffer);
  // Zeros, and copies of C++ values; umbel::Error if the shape does not fit.
  static Array zeros(DType dtype, Shape shape);
  // Uninitialised elements; fill them through mutable_view().
  static Array uninitialized(DType dtype, Shape shape);
  template <class T>
  static Array copy_of(std::span<const T> values, Shape shape);
  template <class T>
  static Array of(std::initializer_list<T> values) {
    return copy_of<T>(std::span<const T>(values.begin(), values.size()),
                      {static_cast<int64_t>(values.size())});
  }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t size() const { return size_; }  // elements
  size_t byte_size() const { return buffer_.size(); }
  const Buffer& buffer() const { return buffer_; }

  // The elements; umbel::Error if T is not the array's element type.
  template <class T>
  std::span<const T> view() const {
    require(dtype_of<T>());
    return {reinterpret_cast<const T*>(buffer_.data()), static_cast<size_t>(size_)};
  }
  template <class T>
  std::span<T> mutable_view() {
    require(dtype_of<T>());
    return {reinterpret_cast<T*>(buffer_.mutable_bytes().data()), static_cast<size_t>(size_)};
  }
  std::span<const std::byte> bytes() const { return buffer_.bytes(); }
  std::span<std::byte> mutable_bytes() { return buffer_.mutable_bytes(); }

  Array clone() const { return Array(dtype_, shape_, buffer_.clone()); }
  // The same bytes under another shape of as many elements; umbel::Error otherwise.
  Array reshaped(Shape shape) const;
  // float32[64,3,3,3]
  std::string describe() const;

  // Same dtype, shape and bytes (so NaN equals itself, and 0 differs from -0).
  friend bool operator==(const Array& a, const Array& b) {
    return a.dtype_ == b.dtype_ && a.shape_ == b.shape_ && a.buffer_ == b.buffer_;
  }

 private:
  Array(DType dtype, Shape shape, Buffer buffer);
  void require(DType dtype) const {
    if (dtype != dtype_) [[unlikely]]
      throw_wrong_dtype(dtype);
  }
  [[noreturn]] void throw_wrong_dtype(DType asked) const;

  DType dtype_;
  Shape shape_;
  int64_t size_;
  Buffer buffer_;
};

template <class T>
Array Array::copy_of(std::span<const T> values, Shape shape) {
  return or_throw(make(dtype_of<T>(), std::move(shape), Buffer::copy_of(std::as_bytes(values))));
}

}  // namespace umbel
