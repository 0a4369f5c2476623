#include "umbel/aggregate/finite.h"

#include <cmath>
#include <cstring>

#include "umbel/record/half.h"

namespace umbel::aggregate {

namespace {

template <class T>
T read(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

double real_at(DType dtype, const std::byte* from) {
  switch (dtype) {
    case DType::kFloat16:
      return to_float(read<Float16>(from));
    case DType::kBfloat16:
      return to_float(read<Bfloat16>(from));
    case DType::kFloat32:
    case DType::kComplex64:
      return read<float>(from);
    case DType::kFloat64:
    case DType::kComplex128:
      return read<double>(from);
    default:
      return 0;
  }
}

}  // namespace

Status require_finite(std::string_view name, DType dtype, std::span<const std::byte> bytes,
                      int64_t first) {
  const size_t reals = is_complex(dtype) ? 2 : 1;
  const size_t step = size_of(dtype) / reals;
  for (size_t i = 0; i != bytes.size() / step; ++i) {
    const double value = real_at(dtype, bytes.data() + i * step);
    if (std::isfinite(value)) continue;
    return invalid_argument("array \"{}\": element {} is {}, expected a finite number", name,
                            first + static_cast<int64_t>(i / reals), value);
  }
  return absl::OkStatus();
}

}  // namespace umbel::aggregate
