#include "umbel/torch/tensor.h"

#include <ATen/core/Tensor.h>

#include "umbel/torch/convert.h"

namespace umbel::torch {

Array to_array(const at::Tensor& tensor) {
  or_throw(check_convertible(tensor, "to_array"));
  return copy_of(tensor);
}

at::Tensor to_tensor(const Array& array) { return or_throw(view_of(array, "to_tensor")); }

}  // namespace umbel::torch
