#include "umbel/aggregate/widen.h"

#include <type_traits>

#include "umbel/base/check.h"
#include "umbel/record/half.h"

namespace umbel::aggregate {

namespace {

template <class T>
const T* as(const std::byte* data) {
  return reinterpret_cast<const T*>(data);
}

template <class From, class To>
void convert(const std::byte* data, size_t n, To* out) {
  const From* x = as<From>(data);
  for (size_t i = 0; i != n; ++i) {
    if constexpr (std::is_enum_v<From>) {
      out[i] = to_float(x[i]);
    } else {
      out[i] = static_cast<To>(x[i]);
    }
  }
}

}  // namespace

void widen(DType dtype, const std::byte* data, size_t n, double* out) {
  switch (dtype) {
    case DType::kBool:
      for (size_t i = 0; i != n; ++i) out[i] = data[i] != std::byte{0};
      return;
    case DType::kInt8:
      return convert<int8_t>(data, n, out);
    case DType::kInt16:
      return convert<int16_t>(data, n, out);
    case DType::kInt32:
      return convert<int32_t>(data, n, out);
    case DType::kUint8:
      return convert<uint8_t>(data, n, out);
    case DType::kUint16:
      return convert<uint16_t>(data, n, out);
    case DType::kUint32:
      return convert<uint32_t>(data, n, out);
    case DType::kFloat16:
      return convert<Float16>(data, n, out);
    case DType::kBfloat16:
      return convert<Bfloat16>(data, n, out);
    case DType::kFloat32:
    case DType::kComplex64:
      return convert<float>(data, n, out);
    default:
      UMBEL_CHECK(false);
  }
}

void widen(DType dtype, const std::byte* data, size_t n, float* out) {
  if (dtype == DType::kFloat16) return convert<Float16>(data, n, out);
  UMBEL_CHECK(dtype == DType::kBfloat16);
  convert<Bfloat16>(data, n, out);
}

void split_wide(DType dtype, const std::byte* data, size_t n, double* high, double* low) {
  for (size_t i = 0; i != n; ++i) {
    if (dtype == DType::kInt64) {
      high[i] = static_cast<double>(as<int64_t>(data)[i] >> 32) * 0x1p32;
    } else {
      high[i] = static_cast<double>(as<uint64_t>(data)[i] >> 32) * 0x1p32;
    }
    low[i] = static_cast<double>(static_cast<uint32_t>(as<uint64_t>(data)[i]));
  }
}

}  // namespace umbel::aggregate
