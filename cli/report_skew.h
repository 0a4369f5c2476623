#pragma once

#include <string>

#include "event.h"

namespace umbel::cli {

// The report's part on how the clients' data differ, from the record "data-skew"
// (docs/app-process.md lists its metrics); what the record lacks is left out.
std::string skew_section(const MetricRecord& skew);

}  // namespace umbel::cli
