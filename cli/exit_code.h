#pragma once

#include "umbel/base/status.h"

namespace umbel::cli {

// What the program's exit code says; scripts rely on it (docs/cli.md).
enum ExitCode : int {
  kDone = 0,
  kFailed = 1,      // the run, the build or the disk failed
  kConnection = 2,  // no connection, or not authenticated
  kTimeout = 3,
  kBadInput = 4,  // arguments or configuration
  kBug = 5,       // a bug of ours
  kSignalBase = 128,
};

// The exit code that an error's kind stands for.
ExitCode exit_code_of(const Status& status);
// The same where a hub was asked: not to reach it, or not to be let in, is kConnection.
ExitCode exit_code_on_link(const Status& status);

}  // namespace umbel::cli
