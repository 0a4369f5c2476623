#pragma once

#include <string>
#include <vector>

#include "event.h"

namespace umbel::cli {

// The main metric over the rounds: accuracy if any round has it, else loss.
struct Curve {
  std::string name;
  std::vector<double> rounds, values;  // finite values only
};
Curve main_curve(const std::vector<RoundEvent>& rounds);

// The curve as lines of text `columns` wide with its axis: braille dots where `utf8`, else stars.
// "" if there are not two points to join.
std::string draw_curve(const Curve& curve, int columns, bool utf8);

// Holds a curve of any number of rounds to `points_max` points; the first and the last stay.
Curve thinned(const Curve& curve, size_t points_max);

}  // namespace umbel::cli
