#pragma once

#include <string>
#include <string_view>

#include "umbel/record/array.h"

namespace at {
class Tensor;
}

namespace umbel::torch {

// What tensor.h and module.h share; `what` names the tensor or the array in errors.

// INVALID_ARGUMENT unless the tensor's dtype, layout and device have a counterpart in an Array.
Status check_convertible(const at::Tensor& tensor, std::string_view what);
// The dtype and shape that an Array of the tensor has.  For tensors that are convertible.
DType dtype_of(const at::Tensor& tensor);
Shape shape_of(const at::Tensor& tensor);
// float32[64,3,3,3]
std::string describe(const at::Tensor& tensor);

Array copy_of(const at::Tensor& tensor);  // a convertible one
Result<at::Tensor> view_of(const Array& array, std::string_view what);

}  // namespace umbel::torch
