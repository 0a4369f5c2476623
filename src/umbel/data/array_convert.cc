#include "umbel/data/array_convert.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include "umbel/record/half.h"

namespace umbel::data {

namespace {

// The number as To, if To can hold it; a rounded float32 holds what is within its range.
template <class To, class From>
bool convert(From from, To& to) {
  if constexpr (std::is_same_v<From, Float16> || std::is_same_v<From, Bfloat16>) {
    to = static_cast<To>(to_float(from));
    return true;
  } else if constexpr (std::is_floating_point_v<To>) {
    if (std::isfinite(from) && std::fabs(from) > std::numeric_limits<To>::max()) return false;
    to = static_cast<To>(from);
    return true;
  } else {
    to = static_cast<To>(from);
    return std::in_range<To>(from);
  }
}

// Booleans are numbers here: std::in_range takes none.
template <>
bool convert(bool from, uint8_t& to) {
  to = from;
  return true;
}
template <>
bool convert(bool from, int32_t& to) {
  to = from;
  return true;
}

template <class To, class From>
Result<Array> converted(const Array& array) {
  Array result = Array::uninitialized(dtype_of<To>(), array.shape());
  const auto out = result.mutable_view<To>();
  // A stored truth value may be any byte.
  using Stored = std::conditional_t<std::is_same_v<From, bool>, uint8_t, From>;
  const auto* in = reinterpret_cast<const Stored*>(array.bytes().data());
  for (size_t i = 0; i != out.size(); ++i) {
    bool fits = false;
    if constexpr (std::is_same_v<From, bool>) {
      fits = convert<To, bool>(in[i] != 0, out[i]);
    } else {
      fits = convert<To, From>(in[i], out[i]);
    }
    if (fits) continue;
    const size_t each = out.size() / static_cast<size_t>(array.shape()[0]);
    if constexpr (std::is_arithmetic_v<From>) {
      return invalid_argument("example {}: {} is beyond {}'s range", i / each, in[i],
                              name_of(dtype_of<To>()));
    }
  }
  return result;
}

}  // namespace

Result<Array> as_features(const Array& array) {
  if (array.shape().empty()) return invalid_argument("{}, expected [n, ...]", array.describe());
  switch (array.dtype()) {
    case DType::kUint8:
    case DType::kInt32:
    case DType::kFloat32:
      return array;
    case DType::kBool:
      return converted<uint8_t, bool>(array);
    case DType::kInt8:
      return converted<int32_t, int8_t>(array);
    case DType::kInt16:
      return converted<int32_t, int16_t>(array);
    case DType::kUint16:
      return converted<int32_t, uint16_t>(array);
    case DType::kUint32:
      return converted<int32_t, uint32_t>(array);
    case DType::kInt64:
      return converted<int32_t, int64_t>(array);
    case DType::kUint64:
      return converted<int32_t, uint64_t>(array);
    case DType::kFloat16:
      return converted<float, Float16>(array);
    case DType::kBfloat16:
      return converted<float, Bfloat16>(array);
    case DType::kFloat64:
      return converted<float, double>(array);
    case DType::kComplex64:
    case DType::kComplex128:
      break;
  }
  return invalid_argument("{}: complex numbers; give real and imaginary parts as two features",
                          array.describe());
}

Result<Array> as_int32_column(const Array& array) {
  const Shape& shape = array.shape();
  if (shape.size() != 1 && !(shape.size() == 2 && shape[1] == 1)) {
    return invalid_argument("{}, expected [n]", array.describe());
  }
  const Array column = array.reshaped({shape[0]});
  switch (array.dtype()) {
    case DType::kInt32:
      return column;
    case DType::kBool:
      return converted<int32_t, bool>(column);
    case DType::kUint8:
      return converted<int32_t, uint8_t>(column);
    case DType::kInt8:
    case DType::kInt16:
    case DType::kInt64:
    case DType::kUint16:
    case DType::kUint32:
    case DType::kUint64:
      return as_features(column);
    default:
      return invalid_argument("{}, expected whole numbers", array.describe());
  }
}

}  // namespace umbel::data
