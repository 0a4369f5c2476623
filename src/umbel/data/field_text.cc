#include "umbel/data/field_text.h"

#include <fmt/core.h>

#include "umbel/base/text.h"

namespace umbel::data {

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string shown(std::string_view field) {
  constexpr size_t kShownMax = 40;
  return fmt::format("\"{}\"{}", escaped(field.substr(0, kShownMax)),
                     field.size() > kShownMax ? "..." : "");
}

}  // namespace umbel::data
