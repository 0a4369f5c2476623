#pragma once

#include "options.h"
#include "output.h"
#include "recorder.h"

namespace umbel::cli {

// The end of `umbel run`: report, curve, summary, the JSON object; returns the exit code.  `kept`
// is the first failure to keep what the run left, such as its artifacts.
int conclude_run(const RunOptions& options, const Output& output, History& history,
                 const RunRecorder& recorder, Run& run, Status kept);

}  // namespace umbel::cli
