#pragma once

#include <string>
#include <vector>

#include "json_records.h"

namespace umbel::cli {

// Whether a record is the app's own, by Context::publish(), and not one that the report has a part
// for.
bool is_figure(const RecordEvent& record);

// The report's part with what the app published; empty if that is nothing.  NAME-low and NAME-high
// stand beside NAME, as the interval that they are.
std::string figures_section(const std::vector<RecordEvent>& records);

// {"external-validation": {"accuracy": 0.93, ...}, ...}
Json json_of_figures(const std::vector<RecordEvent>& records);

}  // namespace umbel::cli
