#pragma once

#include <cstddef>
#include <type_traits>

#include "umbel/record/array.h"
#include "umbel/record/half.h"

namespace umbel {

template <class T>
double widened(T value) {
  if constexpr (std::is_enum_v<T>) {
    return to_float(value);
  } else {
    return value;
  }
}

template <class T>
T rounded(double value) {
  if constexpr (std::is_same_v<T, Float16>) {
    return to_float16(value);
  } else if constexpr (std::is_same_v<T, Bfloat16>) {
    return to_bfloat16(value);
  } else {
    return static_cast<T>(value);
  }
}

// Calls `with(T())`, T what an array of real or complex numbers is made of: float for complex64.
// Other dtypes are not for it; false then.
template <class With>
bool with_real_type(DType dtype, const With& with) {
  switch (dtype) {
    case DType::kFloat16:
      with(Float16());
      return true;
    case DType::kBfloat16:
      with(Bfloat16());
      return true;
    case DType::kFloat32:
    case DType::kComplex64:
      with(float());
      return true;
    case DType::kFloat64:
    case DType::kComplex128:
      with(double());
      return true;
    default:
      return false;
  }
}

// f(i, a's real number i, b's) of two arrays of one dtype and shape, computed in double and rounded
// once.  Arrays of other numbers: `b` itself.
template <class F>
Array zip_reals(const Array& a, const Array& b, const F& f) {
  Array out = b;
  with_real_type(a.dtype(), [&]<class T>(T) {
    out = Array::uninitialized(a.dtype(), a.shape());
    const auto* x = reinterpret_cast<const T*>(a.bytes().data());
    const auto* y = reinterpret_cast<const T*>(b.bytes().data());
    auto* z = reinterpret_cast<T*>(out.mutable_bytes().data());
    const size_t count = a.byte_size() / sizeof(T);
    for (size_t i = 0; i != count; ++i) z[i] = rounded<T>(f(i, widened(x[i]), widened(y[i])));
  });
  return out;
}

}  // namespace umbel
