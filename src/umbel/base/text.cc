#include "umbel/base/text.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

namespace umbel {

namespace {

// Levenshtein's distance, one row at a time.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.empty() || word.size() > 64) return "";
  std::string best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > 64) continue;
    if (const size_t d = distance(word, candidate); d < best_distance) {
      best_distance = d;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string best = nearest(word, candidates);
  return best.empty() ? "" : fmt::format("; did you mean \"{}\"?", best);
}

std::string escaped(std::string_view text) {
  std::string safe;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  for (size_t i = 0; i != text.size(); ++i) {
    if (byte(i) < 0x20 || byte(i) == 0x7f) {
      safe += fmt::format("\\x{:02x}", byte(i));
    } else if (byte(i) == 0xc2 && i + 1 != text.size() && byte(i + 1) >= 0x80 &&
               byte(i + 1) < 0xa0) {
      safe += fmt::format("\\xc2\\x{:02x}", byte(++i));  // U+0080 to U+009F: also escape codes
    } else {
      safe += text[i];
    }
  }
  return safe;
}

}  // namespace umbel
