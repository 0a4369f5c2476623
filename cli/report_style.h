#pragma once

namespace umbel::cli {

// The report's style sheet.
extern const char* const kReportStyle;

}  // namespace umbel::cli
