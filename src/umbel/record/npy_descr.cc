#include "umbel/record/npy_descr.h"

#include <algorithm>
#include <array>

#include "umbel/base/text.h"

namespace umbel {

namespace {

struct Name {
  std::string_view text;
  DType dtype;
};

// Kind and size, or a type character: a byte order may stand before them.
constexpr auto kCodes = std::to_array<Name>({
    {"b1", DType::kBool},      {"i1", DType::kInt8},        {"i2", DType::kInt16},
    {"i4", DType::kInt32},     {"i8", DType::kInt64},       {"u1", DType::kUint8},
    {"u2", DType::kUint16},    {"u4", DType::kUint32},      {"u8", DType::kUint64},
    {"f2", DType::kFloat16},   {"f4", DType::kFloat32},     {"f8", DType::kFloat64},
    {"c8", DType::kComplex64}, {"c16", DType::kComplex128}, {"?", DType::kBool},
    {"b", DType::kInt8},       {"h", DType::kInt16},        {"i", DType::kInt32},
    {"l", DType::kInt64},      {"q", DType::kInt64},        {"n", DType::kInt64},
    {"p", DType::kInt64},      {"B", DType::kUint8},        {"H", DType::kUint16},
    {"I", DType::kUint32},     {"L", DType::kUint64},       {"Q", DType::kUint64},
    {"N", DType::kUint64},     {"P", DType::kUint64},       {"e", DType::kFloat16},
    {"f", DType::kFloat32},    {"d", DType::kFloat64},      {"F", DType::kComplex64},
    {"D", DType::kComplex128},
});

constexpr auto kNames = std::to_array<Name>({
    {"bool", DType::kBool},
    {"bool_", DType::kBool},
    {"int8", DType::kInt8},
    {"byte", DType::kInt8},
    {"int16", DType::kInt16},
    {"short", DType::kInt16},
    {"int32", DType::kInt32},
    {"intc", DType::kInt32},
    {"int64", DType::kInt64},
    {"long", DType::kInt64},
    {"longlong", DType::kInt64},
    {"intp", DType::kInt64},
    {"int_", DType::kInt64},
    {"int", DType::kInt64},
    {"uint8", DType::kUint8},
    {"ubyte", DType::kUint8},
    {"uint16", DType::kUint16},
    {"ushort", DType::kUint16},
    {"uint32", DType::kUint32},
    {"uintc", DType::kUint32},
    {"uint64", DType::kUint64},
    {"ulong", DType::kUint64},
    {"ulonglong", DType::kUint64},
    {"uintp", DType::kUint64},
    {"uint", DType::kUint64},
    {"float16", DType::kFloat16},
    {"half", DType::kFloat16},
    {"float32", DType::kFloat32},
    {"single", DType::kFloat32},
    {"float64", DType::kFloat64},
    {"double", DType::kFloat64},
    {"float", DType::kFloat64},
    {"complex64", DType::kComplex64},
    {"csingle", DType::kComplex64},
    {"complex128", DType::kComplex128},
    {"cdouble", DType::kComplex128},
    {"complex", DType::kComplex128},
});

template <size_t N>
const Name* find(const std::array<Name, N>& table, std::string_view text) {
  const auto* found =
      std::find_if(table.begin(), table.end(), [&](const Name& name) { return name.text == text; });
  return found == table.end() ? nullptr : found;
}

Status refuse(std::string_view descr, std::string_view code) {
  const auto unsupported = [&](std::string_view kind) {
    return invalid_argument("descr \"{}\": {} elements are not supported", escaped(descr), kind);
  };
  const auto starts = [&](std::string_view prefix) {
    return code.substr(0, prefix.size()) == prefix;
  };
  if (starts("V") || starts("void")) {
    return invalid_argument(
        "descr \"{}\": void elements are not supported (bfloat16 saved by NumPy looks like this; "
        "save it as .safetensors)",
        escaped(descr));
  }
  if (starts("O") || starts("object")) return unsupported("object (pickled)");
  if (starts("S") || starts("U") || starts("a") || starts("T") || starts("str") ||
      starts("bytes") || starts("unicode") || code == "c") {
    return unsupported("string");
  }
  if (starts("M") || starts("m") || starts("datetime") || starts("timedelta")) {
    return unsupported("datetime");
  }
  if (code == "g" || code == "G" || code == "f16" || code == "c32" || starts("longdouble") ||
      starts("clongdouble") || code == "float128" || code == "complex256") {
    return unsupported("long double");
  }
  if (code.find_first_of(",()") != std::string_view::npos) return unsupported("structured");
  return invalid_argument("descr \"{}\" is not a NumPy element type", escaped(descr));
}

}  // namespace

Result<NpyDescr> parse_npy_descr(std::string_view descr) {
  if (const Name* name = find(kNames, descr)) return NpyDescr{name->dtype, false};
  std::string_view code = descr;
  const bool ordered = !code.empty() && std::string_view("<>=|").find(code[0]) != code.npos;
  if (ordered) code.remove_prefix(1);
  const Name* name = find(kCodes, code);
  if (!name) return refuse(descr, code);
  return NpyDescr{name->dtype, descr[0] == '>' && size_of(name->dtype) > 1};
}

Result<std::string> npy_descr(DType dtype) {
  const auto* name = std::find_if(kCodes.begin(), kCodes.end(),
                                  [&](const Name& code) { return code.dtype == dtype; });
  if (name == kCodes.end()) {
    return invalid_argument("an .npy file cannot hold {}: save it as .safetensors", name_of(dtype));
  }
  return (size_of(dtype) == 1 ? "|" : "<") + std::string(name->text);
}

}  // namespace umbel
