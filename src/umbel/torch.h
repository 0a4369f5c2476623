#pragma once

// Umbel's LibTorch adapter, for apps whose clients train with torch (find_package(umbel COMPONENTS
// torch), target umbel::torch).  Include it beside <umbel/umbel.h> and <torch/torch.h>.  Code with
// `using namespace umbel` has to spell torch's own names ::torch::nn.

#include "umbel/torch/isolated.h"
#include "umbel/torch/module.h"
#include "umbel/torch/tensor.h"
