#pragma once

#include <functional>

#include "umbel/base/status.h"

namespace umbel::cli {

// `umbel up --detach`: what a process that stays behind does, and how others find it.

// Runs `body` in a process of its own, without terminal, its words in `log`; waits until that
// process has called the function it is given, with OK or with why it could not start.  `body`
// returns the process's exit code.  Requires that this process has one thread.
Status start_detached(
    const std::string& log,
    const std::function<int(const std::function<void(const Status&)>& started)>& body);

// FAILED_PRECONDITION if a federation is up already.
Status require_no_up_process();
// $UMBEL_HOME/up/process: which process runs the local federation.
Status write_up_process();
// Asks it to end and waits for that; NOT_FOUND if there is none, DEADLINE_EXCEEDED after a minute.
Status end_up_process();

}  // namespace umbel::cli
