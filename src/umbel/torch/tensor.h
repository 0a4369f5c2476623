#pragma once

#include "umbel/record/array.h"

namespace at {
class Tensor;
}

namespace umbel::torch {

// Tensors to arrays and back, bit by bit: bool, int8 to int64, uint8, float16, bfloat16, float32,
// float64, complex64 and complex128, of any shape.
//
// umbel::Error names what has no counterpart: a tensor that is undefined, sparse, quantized, on the
// meta device (which has no elements) or of another dtype; an array of uint16, uint32 or uint64.

// One copy of the elements, in C order; a tensor of another device or with strides of its own comes
// in order on the way.  The array shares nothing with the tensor.
Array to_array(const at::Tensor& tensor);

// A tensor over the array's own bytes: no copy, and the bytes stay as long as the tensor does.
// They may be shared with other arrays and clients, so the tensor is for reading: clone() it before
// writing to it.
at::Tensor to_tensor(const Array& array);

}  // namespace umbel::torch
