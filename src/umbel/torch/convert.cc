#include "umbel/torch/convert.h"

#include <ATen/ATen.h>

#include <optional>

#include "umbel/base/check.h"

namespace umbel::torch {

namespace {

struct Pair {
  DType ours;
  at::ScalarType theirs;
};
constexpr Pair kPairs[] = {
    {DType::kBool, at::kBool},
    {DType::kInt8, at::kChar},
    {DType::kInt16, at::kShort},
    {DType::kInt32, at::kInt},
    {DType::kInt64, at::kLong},
    {DType::kUint8, at::kByte},
    {DType::kFloat16, at::kHalf},
    {DType::kBfloat16, at::kBFloat16},
    {DType::kFloat32, at::kFloat},
    {DType::kFloat64, at::kDouble},
    {DType::kComplex64, at::kComplexFloat},
    {DType::kComplex128, at::kComplexDouble},
};

std::optional<DType> find(at::ScalarType theirs) {
  for (const Pair& pair : kPairs) {
    if (pair.theirs == theirs) return pair.ours;
  }
  return std::nullopt;
}

std::optional<at::ScalarType> find(DType ours) {
  for (const Pair& pair : kPairs) {
    if (pair.ours == ours) return pair.theirs;
  }
  return std::nullopt;
}

at::Tensor tensor_over(const std::byte* data, const Shape& shape, at::ScalarType type,
                       const std::function<void(void*)>& release) {
  const at::IntArrayRef sizes(shape.data(), shape.size());
  // Torch has no const tensors; tensor.h says that these are for reading.
  return at::from_blob(const_cast<std::byte*>(data), sizes, release, at::TensorOptions(type));
}

}  // namespace

Status check_convertible(const at::Tensor& tensor, std::string_view what) {
  if (!tensor.defined()) return invalid_argument("{}: the tensor is undefined", what);
  if (tensor.layout() != at::kStrided) {
    return invalid_argument("{}: the tensor is sparse, expected a dense one: use to_dense()", what);
  }
  if (tensor.is_quantized()) {
    return invalid_argument("{}: the tensor is quantized, expected plain numbers: use dequantize()",
                            what);
  }
  if (!find(tensor.scalar_type())) {
    return invalid_argument("{}: the tensor has dtype {}, for which there is no array", what,
                            at::toString(tensor.scalar_type()));
  }
  if (tensor.is_meta()) {
    return invalid_argument("{}: the tensor is on the meta device, which has no elements", what);
  }
  return absl::OkStatus();
}

DType dtype_of(const at::Tensor& tensor) {
  const auto dtype = find(tensor.scalar_type());
  UMBEL_CHECK(dtype);
  return *dtype;
}

Shape shape_of(const at::Tensor& tensor) {
  return Shape(tensor.sizes().begin(), tensor.sizes().end());
}

std::string describe(const at::Tensor& tensor) {
  return std::string(name_of(dtype_of(tensor))) + to_string(shape_of(tensor));
}

Array copy_of(const at::Tensor& tensor) {
  Array array = Array::uninitialized(dtype_of(tensor), shape_of(tensor));
  if (array.size() == 0) return array;
  const at::NoGradGuard no_grad;
  tensor_over(array.mutable_bytes().data(), array.shape(), tensor.scalar_type(), [](void*) {
  }).copy_(tensor);
  return array;
}

Result<at::Tensor> view_of(const Array& array, std::string_view what) {
  const auto type = find(array.dtype());
  if (!type) {
    return invalid_argument("{}: the array has dtype {}, for which torch has no tensor", what,
                            name_of(array.dtype()));
  }
  if (array.size() == 0) {
    return at::empty(at::IntArrayRef(array.shape().data(), array.shape().size()),
                     at::TensorOptions(*type));
  }
  const Buffer kept = array.buffer();
  return tensor_over(array.bytes().data(), array.shape(), *type, [kept](void*) {});
}

}  // namespace umbel::torch
