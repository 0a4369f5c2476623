#pragma once

#include <string>
#include <vector>

#include "umbel/record/record.h"

namespace umbel {

// What an array is without its elements.
struct ArraySpec {
  std::string name;
  DType dtype;
  Shape shape;
  int64_t elements() const;  // umbel::element_count(shape), which must be OK
  size_t byte_size() const;
  friend bool operator==(const ArraySpec&, const ArraySpec&) = default;
};

// The arrays of a record without their elements: what a fold has to agree on.
using Layout = std::vector<ArraySpec>;
Layout layout_of(const ArrayRecord& arrays);

// The one INVALID_ARGUMENT that says how `layout` differs from `expected` in names, order, dtype or
// shape; OK if it does not.  The words are those of require_layout(ArrayRecord, ArrayRecord).
Status require_layout(const Layout& layout, const Layout& expected);
Status require_layout(const ArrayRecord& arrays, const Layout& expected);

// How the arrays of records lie in one run of bytes (a blob): one after another in their order,
// each from a multiple of 64 bytes, zeros between.
inline constexpr size_t kBlobAlignment = 64;
// Where an array starts if the one before it ends at `end`.
constexpr size_t next_in_blob(size_t end) {
  return (end + kBlobAlignment - 1) / kBlobAlignment * kBlobAlignment;
}
// Where the last array ends; SIZE_MAX where that does not fit.
size_t blob_size(const Layout& layout);

}  // namespace umbel
