#pragma once

#include <cstdint>
#include <vector>

#include "umbel/base/rng.h"

namespace umbel::data {

// Appends `count` numbers from 0 to below - 1 to `out`: uniformly drawn sets without repeats,
// except that where count >= below every number first comes count / below times.  Ordered by
// nothing that a caller may rely on.  O(count log count), whatever `below`; requires 1 <= below <=
// 2^32.
void append_distinct(Rng& rng, uint64_t below, uint64_t count, std::vector<uint32_t>& out);

}  // namespace umbel::data
