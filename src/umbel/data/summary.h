#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "umbel/data/dataset.h"

namespace umbel::data {

inline constexpr int64_t kDuplicateExamplesMax = 10'000'000;  // beyond, none are looked for

// What a data set holds, to look at before training on it.
struct Summary {
  std::vector<int64_t> class_counts;  // examples of each class

  // Of the features' numbers.
  int64_t nan = 0;
  int64_t infinite = 0;
  double least = 0;  // of the finite ones; 0, as all that follow, if there are none
  double greatest = 0;
  double mean = 0;
  double deviation = 0;          // standard deviation, of the population
  int64_t constant_columns = 0;  // places in an example that are the same in all examples

  // Examples whose features are, byte by byte, those of an earlier one; and those of them whose
  // label is another than that one's.  Nothing if there are too many examples to look.
  std::optional<int64_t> duplicates;
  std::optional<int64_t> contradictions;

  // Of the natural ids that occur; 0 without.
  int64_t owners = 0;
  int64_t owner_size_min = 0;
  double owner_size_median = 0;
  int64_t owner_size_max = 0;
};

// Requires check(dataset) to be OK.  Reads everything once.
Summary summarize(const Dataset& dataset);

}  // namespace umbel::data
