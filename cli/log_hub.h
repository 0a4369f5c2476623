#pragma once

#include "history.h"
#include "json_records.h"
#include "options.h"
#include "output.h"

namespace umbel::cli {

// `umbel log RUN LINK`.
int log_at_hub(const LogOptions& options, const Output& output);

// A line as --format json has it.
Json json_of(const LogLine& line);

}  // namespace umbel::cli
