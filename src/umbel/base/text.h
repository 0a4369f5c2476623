#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace umbel {

// The candidate that `word` was probably meant to be (fewest edits: one, or up to a third of its
// letters), or "" if none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// `; did you mean "rounds"?`, or "" if nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

// The text with every control character (terminal escapes, line ends) shown as \xNN.
std::string escaped(std::string_view text);

}  // namespace umbel
