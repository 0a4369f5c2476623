#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace umbel::wire {

bool is_utf8(std::string_view text);
// What a person is to read: each byte that is not part of UTF-8 becomes '?', and the text is cut
// after at most `bytes_max` bytes, between two characters.
std::string as_utf8(std::string_view text, size_t bytes_max);

}  // namespace umbel::wire
