#pragma once

#include "umbel/record/record.h"

namespace torch::nn {
class Module;
}

namespace umbel::torch {

// A module's parameters and buffers as arrays under their names ("conv1.weight",
// "bn1.running_mean", "bn1.num_batches_tracked"), in the order of PyTorch's state_dict: each
// module's parameters, its buffers, then its submodules in the order of registration.  Frozen
// parameters are among them, undefined ones (a Linear without bias) are not.  Each array is one
// copy and shares nothing with the module, which may train on.  A parameter that two modules share
// is there under both names.
//
// umbel::Error names the first tensor that no array can hold (tensor.h).
ArrayRecord arrays(const ::torch::nn::Module& module);

enum class Match {
  kAll,   // exactly the module's names, in any order
  kSome,  // some of the module's names; the rest of the module stays as it is
};

// Copies the arrays into the module's parameters and buffers, integer ones included.  Afterwards
// they share nothing.  All names, dtypes and shapes are checked first: umbel::Error says how the
// module differs from what the federation has, and the module is then as it was.
void load(const ArrayRecord& arrays, ::torch::nn::Module& module, Match match = Match::kAll);

}  // namespace umbel::torch
