#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace umbel {

// Element types: NumPy's numeric types and bfloat16.  Bytes are little-endian.
enum class DType : uint8_t {
  kBool,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kFloat16,
  kBfloat16,
  kFloat32,
  kFloat64,
  kComplex64,
  kComplex128,
};
inline constexpr int kDTypeCount = 15;

// Storage of the 16-bit floats; see half.h for their values.
enum class Float16 : uint16_t {};
enum class Bfloat16 : uint16_t {};

size_t size_of(DType dtype);            // bytes of one element
size_t alignment_of(DType dtype);       // of its C++ type, in bytes
std::string_view name_of(DType dtype);  // NumPy's name: "float32"
std::optional<DType> dtype_named(std::string_view name);
bool is_floating(DType dtype);  // real floating point, 16-bit ones included
bool is_complex(DType dtype);
bool is_integer(DType dtype);  // signed or unsigned; not bool

// dtype_of<float> is DType::kFloat32, and so on.
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, bool>)
    return DType::kBool;
  else if constexpr (std::is_same_v<T, int8_t>)
    return DType::kInt8;
  else if constexpr (std::is_same_v<T, int16_t>)
    return DType::kInt16;
  else if constexpr (std::is_same_v<T, int32_t>)
    return DType::kInt32;
  else if constexpr (std::is_same_v<T, int64_t>)
    return DType::kInt64;
  else if constexpr (std::is_same_v<T, uint8_t>)
    return DType::kUint8;
  else if constexpr (std::is_same_v<T, uint16_t>)
    return DType::kUint16;
  else if constexpr (std::is_same_v<T, uint32_t>)
    return DType::kUint32;
  else if constexpr (std::is_same_v<T, uint64_t>)
    return DType::kUint64;
  else if constexpr (std::is_same_v<T, Float16>)
    return DType::kFloat16;
  else if constexpr (std::is_same_v<T, Bfloat16>)
    return DType::kBfloat16;
  else if constexpr (std::is_same_v<T, float>)
    return DType::kFloat32;
  else if constexpr (std::is_same_v<T, double>)
    return DType::kFloat64;
  else if constexpr (std::is_same_v<T, std::complex<float>>)
    return DType::kComplex64;
  else if constexpr (std::is_same_v<T, std::complex<double>>)
    return DType::kComplex128;
  else
    static_assert(sizeof(T) == 0, "not an element type of umbel::Array");
}

}  // namespace umbel
