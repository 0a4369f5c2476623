#pragma once

#include <string>

#include "report_html.h"
#include "twin.h"

namespace umbel::cli {

// The report's part on the centralised twin: quality, examples, bytes side by side; "" without one.
std::string twin_section(const ReportData& data);

// The report's part on energy: an estimate of this run, beside its twin's if there is one, its
// factors with their sources, and how it changes with rounds and the model's size.  "" if the
// processor time of the run is not known, as of a run at a hub.
std::string energy_section(const ReportData& data);

}  // namespace umbel::cli
