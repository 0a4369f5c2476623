#pragma once

#include <string>
#include <vector>

#include "event.h"

namespace umbel::cli {

// The report's table of rounds, without columns that would be empty; "" if there are no rounds.  Of
// more than 500 rounds every so many have a row.
std::string round_table(const std::vector<RoundEvent>& rounds);

}  // namespace umbel::cli
