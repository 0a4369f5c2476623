#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "child.h"
#include "hub_client.h"

namespace umbel::cli {

// Gets a run's events from its hub on a thread of its own, and gets them again where they broke
// off when the hub was away: for up to ten minutes at a time.
class HubFollower {
 public:
  // The client is this object's until it ends.
  HubFollower(HubClient& client, int64_t run, int64_t after);
  ~HubFollower();  // cancels what is under way

  // Readable when take() has something.
  int descriptor() const { return wake_.get(); }
  struct Taken {
    std::vector<HubEvent> events;
    std::string notice;           // for people: the connection was lost, or is there again
    std::optional<Status> ended;  // nothing comes after this; OK: the last event was the run's end
  };
  Taken take();

 private:
  using Clock = std::chrono::steady_clock;
  void follow();
  bool wait_to_retry(const Status& why);
  void hand_over(std::vector<HubEvent> events, std::string notice, std::optional<Status> ended);

  HubClient& client_;
  int64_t run_, after_;
  Descriptor wake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Taken waiting_;
  bool cancelled_ = false;
  std::optional<Clock::time_point> lost_at_;
  std::chrono::milliseconds pause_{0};
  std::thread thread_;
};

}  // namespace umbel::cli
