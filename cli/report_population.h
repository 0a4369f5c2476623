#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "history.h"

namespace umbel::cli {

// "accuracy@women" is accuracy, of a group.
bool is_group_metric(std::string_view name);

// The report's curves by group and the gaps that are left at the end; "" without metrics by group.
std::string groups_section(const std::vector<RoundEvent>& rounds);

// How long a deployment would have taken, and who took part in each round; "" without virtual time.
std::string population_section(const Run& run, const std::vector<RoundEvent>& rounds);

}  // namespace umbel::cli
