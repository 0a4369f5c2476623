#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace umbel::data {

// A field without the blanks around it.
std::string_view trimmed(std::string_view text);

// What a message shows of a field: quoted, control characters escaped, cut after 40 bytes.
std::string shown(std::string_view field);

// The number that the whole field is; nothing if it is anything else.
template <class T>
std::optional<T> number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace umbel::data
