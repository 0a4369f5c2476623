#include "umbel/record/dtype.h"

#include <array>

namespace umbel {

namespace {

struct Entry {
  std::string_view name;
  size_t bytes;
};
constexpr std::array<Entry, kDTypeCount> kTable{{
    {"bool", 1},
    {"int8", 1},
    {"int16", 2},
    {"int32", 4},
    {"int64", 8},
    {"uint8", 1},
    {"uint16", 2},
    {"uint32", 4},
    {"uint64", 8},
    {"float16", 2},
    {"bfloat16", 2},
    {"float32", 4},
    {"float64", 8},
    {"complex64", 8},
    {"complex128", 16},
}};

}  // namespace

size_t size_of(DType dtype) { return kTable[static_cast<size_t>(dtype)].bytes; }
size_t alignment_of(DType dtype) { return size_of(dtype) / (is_complex(dtype) ? 2 : 1); }
std::string_view name_of(DType dtype) { return kTable[static_cast<size_t>(dtype)].name; }

std::optional<DType> dtype_named(std::string_view name) {
  for (size_t i = 0; i != kTable.size(); ++i) {
    if (kTable[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

bool is_floating(DType dtype) { return dtype >= DType::kFloat16 && dtype <= DType::kFloat64; }
bool is_complex(DType dtype) { return dtype >= DType::kComplex64; }
bool is_integer(DType dtype) { return dtype >= DType::kInt8 && dtype <= DType::kUint64; }

}  // namespace umbel
