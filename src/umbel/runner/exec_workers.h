#pragma once

#include "umbel/runner/child_process.h"
#include "umbel/runner/worker_source.h"

namespace umbel::runner {

// How a command is started.
ProcessOptions process_options(const WorkerCommand& command);

}  // namespace umbel::runner
