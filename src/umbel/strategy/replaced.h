#pragma once

#include "umbel/record/record.h"

namespace umbel {

// `whole` with the arrays of `part` in place of its own of their names; `part` has some of its
// names, in its order.
inline ArrayRecord replaced(const ArrayRecord& whole, const ArrayRecord& part) {
  ArrayRecord result;
  result.reserve(whole.size());
  size_t taken = 0;
  for (const auto& [name, array] : whole) {
    const bool found = taken != part.size() && part.entry(taken).first == name;
    result.append(name, found ? part.entry(taken++).second : array);
  }
  return result;
}

}  // namespace umbel
