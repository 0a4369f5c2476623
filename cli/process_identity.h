#pragma once

#include "history.h"

namespace umbel::cli {

ProcessIdentity this_process();

// True while exactly that process runs on this machine.
bool is_alive(const ProcessIdentity& process);

// A pidfd of exactly that process, or -1 if it is gone; the caller closes it.  Whatever happens to
// the process id afterwards, the descriptor means this process.
int open_process(const ProcessIdentity& process);

}  // namespace umbel::cli
