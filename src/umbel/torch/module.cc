#include "umbel/torch/module.h"

#include <torch/nn/module.h>

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "umbel/torch/convert.h"

namespace umbel::torch {

namespace {

struct Named {
  std::string name;
  at::Tensor tensor;
};

void collect(const ::torch::nn::Module& module, const std::string& prefix,
             std::vector<Named>& out) {
  for (const auto& parameter : module.named_parameters(/*recurse=*/false)) {
    if (parameter.value().defined()) out.push_back({prefix + parameter.key(), parameter.value()});
  }
  for (const auto& buffer : module.named_buffers(/*recurse=*/false)) {
    if (buffer.value().defined()) out.push_back({prefix + buffer.key(), buffer.value()});
  }
  for (const auto& child : module.named_children()) {
    collect(*child.value(), prefix + child.key() + ".", out);
  }
}

std::vector<Named> tensors_of(const ::torch::nn::Module& module) {
  std::vector<Named> tensors;
  collect(module, "", tensors);
  return tensors;
}

constexpr const char* kChanged =
    "the module is not the one that the federation trains: did it change between rounds, or is its "
    "form read from a setting?";

struct Copy {
  at::Tensor from, to;
};

// The copy of one array; all checks and no write.
Status plan(const Named& named, const Array& array, std::vector<Copy>& copies) {
  const std::string what = "tensor \"" + named.name + "\"";
  UMBEL_RETURN_IF_ERROR(check_convertible(named.tensor, what));
  const Shape shape = shape_of(named.tensor);
  if (dtype_of(named.tensor) != array.dtype() || shape != array.shape()) {
    return invalid_argument("{}: the module has {}, the arrays have {}; {}", what,
                            describe(named.tensor), array.describe(), kChanged);
  }
  UMBEL_ASSIGN_OR_RETURN(at::Tensor view, view_of(array, what));
  copies.push_back({std::move(view), named.tensor});
  return absl::OkStatus();
}

Result<std::vector<Copy>> plan(const ArrayRecord& arrays, const std::vector<Named>& tensors,
                               Match match) {
  std::unordered_map<std::string_view, const Array*> by_name;
  for (const auto& [name, array] : arrays) by_name.emplace(name, &array);
  std::vector<Copy> copies;
  copies.reserve(tensors.size());
  for (const Named& named : tensors) {
    const auto found = by_name.find(named.name);
    if (found != by_name.end()) {
      UMBEL_RETURN_IF_ERROR(plan(named, *found->second, copies));
      by_name.erase(found);
    } else if (match == Match::kAll) {
      return invalid_argument(
          "tensor \"{}\": the module has it, the arrays do not; there are: {}; {}", named.name,
          arrays.names(), kChanged);
    }
  }
  for (const auto& [name, array] : arrays) {
    if (by_name.contains(name)) {
      return invalid_argument("array \"{}\": {}, for which the module has no tensor; {}", name,
                              array.describe(), kChanged);
    }
  }
  return copies;
}

}  // namespace

ArrayRecord arrays(const ::torch::nn::Module& module) {
  const std::vector<Named> tensors = tensors_of(module);
  for (const Named& named : tensors) {
    or_throw(check_convertible(named.tensor, "tensor \"" + named.name + "\""));
  }
  ArrayRecord record;
  record.reserve(tensors.size());
  for (const Named& named : tensors) record.append(named.name, copy_of(named.tensor));
  return record;
}

void load(const ArrayRecord& arrays, ::torch::nn::Module& module, Match match) {
  const std::vector<Copy> copies = or_throw(plan(arrays, tensors_of(module), match));
  const at::NoGradGuard no_grad;
  for (const Copy& copy : copies) {
    const at::Tensor to = copy.to;
    to.copy_(copy.from);
  }
}

}  // namespace umbel::torch
