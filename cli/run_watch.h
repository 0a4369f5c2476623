#pragma once

#include "hub_client.h"
#include "signal_watch.h"

namespace umbel::cli {

// The runs at a hub each time that they may have changed: when one of those under way has said
// something, and every few seconds.
class RunWatch {
 public:
  explicit RunWatch(const std::string& link) : link_(link) {}
  // The first time at once.  A signal ends the wait: it is taken, and what is returned is void.
  Result<std::vector<Run>> next(SignalWatch& signals);

 private:
  Result<std::vector<Run>> ask();
  Status wait_for_event();

  std::string link_;
  std::optional<HubClient> client_;
  int64_t watched_ = 0, after_ = 0;  // the latest run under way, and the last event of it
};

}  // namespace umbel::cli
