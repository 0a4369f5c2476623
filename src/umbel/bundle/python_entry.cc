#include "umbel/bundle/python_entry.h"

#include <algorithm>

#include "umbel/base/text.h"

namespace umbel::bundle {

namespace {

constexpr size_t kObjectBytesMax = 255;

bool is_name_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

bool is_python_name(std::string_view text) {
  return !text.empty() && is_name_letter(text.front()) && std::ranges::all_of(text, [](char c) {
    return is_name_letter(c) || (c >= '0' && c <= '9');
  });
}

bool are_python_names(std::string_view text) {
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('.', at), text.size());
    if (!is_python_name(text.substr(at, end - at))) return false;
    at = end + 1;
  }
  return text.size() <= kObjectBytesMax;
}

std::string shown(std::string_view text) { return escaped(text.substr(0, kObjectBytesMax + 1)); }

}  // namespace

Status check_python_module(std::string_view text) {
  if (are_python_names(text)) return absl::OkStatus();
  return invalid_argument("\"{}\": expected a Python module, such as \"app\" or \"my_app.app\"",
                          shown(text));
}

Status check_python_object(std::string_view text) {
  const size_t colon = text.find(':');
  const bool good = colon != std::string_view::npos && text.size() <= kObjectBytesMax &&
                    are_python_names(text.substr(0, colon)) &&
                    are_python_names(text.substr(colon + 1));
  if (good) return absl::OkStatus();
  return invalid_argument(
      "\"{}\": expected a Python module and an object in it, such as \"my_app.server:app\"",
      shown(text));
}

}  // namespace umbel::bundle
