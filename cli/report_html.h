#pragma once

#include <string>
#include <vector>

#include "energy.h"
#include "history.h"

namespace umbel::cli {

// What a report tells of.
struct ReportData {
  Run run;
  std::vector<RoundEvent> rounds;
  std::vector<Setting> settings;
  std::vector<RecordEvent> records;
  std::vector<ArtifactEvent> artifacts;
  EnergyFactors energy;
};

// One self-contained HTML page: no scripts, nothing fetched, light or dark as the reader's system
// is.  All text from outside is escaped.  Its size is bounded: curves are drawn with at most 500
// points, and of more than 500 rounds every so many have a row in the table.
std::string report_html(const ReportData& data);

}  // namespace umbel::cli
