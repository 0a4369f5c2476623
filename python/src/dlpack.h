#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>
#include <string>

#include "umbel/record/array.h"

// The part of DLPack 1.0 that tensors in this machine's memory need: how frameworks hand each other
// arrays without a copy.
namespace umbel::python::dlpack {

namespace nb = nanobind;

// Whatever has __dlpack__, sharing its memory; a copy where it does not lie in C order.  The errors
// name `name`, device and dtype.
Array import(nb::handle object, std::string_view name);

// A capsule for `array`.  A consumer of version 1 is told that the bytes are read-only; an older
// one cannot be told, and gets a copy.  `writable`: the caller made the bytes for this consumer
// alone.
nb::object capsule(const Array& array, bool versioned, bool writable);

// Elements `item` bytes wide, at these strides (in bytes), one after another in C order.
Buffer packed(const std::byte* data, const Shape& shape, const Shape& strides, size_t item);
// Whether they already are.
bool is_packed(const Shape& shape, const Shape& strides, size_t item);

}  // namespace umbel::python::dlpack
