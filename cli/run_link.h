#pragma once

#include "options.h"
#include "output.h"

namespace umbel::cli {

// `umbel run APP LINK`: builds and packs the app, hands it to the hub, starts it and follows it
// into this machine's history as if it ran here.
int run_on_link(const RunOptions& options, const Output& output);

}  // namespace umbel::cli
