#pragma once

#include <string>

#include "history.h"

namespace umbel::cli {

// Writes a run's HTML page from what history knows, atomically, and returns its absolute path.
// `file` empty: report.html in the run's folder, which history then remembers.
Result<std::string> write_report(History& history, int64_t run, const std::string& file);

}  // namespace umbel::cli
