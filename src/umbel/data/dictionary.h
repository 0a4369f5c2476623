#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/status.h"

namespace umbel::data {

// Texts and the numbers that they get: first in order of appearance, in the end in the order of
// their bytes, so that the order of the rows does not matter.
class Dictionary {
 public:
  explicit Dictionary(int64_t size_max) : size_max_(size_max) {}

  // The text's number in order of appearance; RESOURCE_EXHAUSTED beyond the limit.
  Result<int32_t> add(std::string_view text);
  size_t size() const { return ids_.size(); }

  // By number of appearance.  The values, if all texts are whole numbers from 0 to below the limit.
  std::optional<std::vector<int32_t>> as_numbers() const;
  // Each one's place in texts().
  std::vector<int32_t> as_ranks() const;
  std::vector<std::string> texts() const;  // in the order of their bytes

 private:
  int64_t size_max_;
  std::map<std::string, int32_t, std::less<>> ids_;
};

}  // namespace umbel::data
