#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "umbel/supernode/app_process.h"
#include "umbel/supernode/kept_states.h"
#include "umbel/wire/fleet.h"

namespace umbel::supernode {

// What a node has of a run: which app, its process, its log, and what its clients keep from one
// message to the next.
struct RunHere {
  wire::RunInfo info;
  std::optional<App> app;  // once it is known
  std::shared_ptr<AppLog> log;
  KeptStates states;
  std::unique_ptr<AppProcess> process;
  uint64_t process_number = 0;  // events of earlier processes are ignored
};

// How many lines of apps' logs may still go to the hub: kLinesMax at once, kLinesPerSecond on
// average.
class LogAllowance {
 public:
  static constexpr double kLinesMax = 200, kLinesPerSecond = 20;
  // `seconds` since any fixed moment.
  bool take(double seconds);

 private:
  double left_ = kLinesMax;
  double last_ = 0;
};

}  // namespace umbel::supernode
