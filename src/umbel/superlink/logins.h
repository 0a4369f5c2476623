#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "umbel/base/keys.h"

namespace umbel::superlink {

// Challenges and the tokens that are given for them, in memory only: a restart ends all logins. Any
// thread.
class Logins {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kChallengesMax = 10'000;  // the oldest goes first
  static constexpr size_t kTokensMax = 10'000;
  static constexpr std::chrono::seconds kChallengeLife{60};
  static constexpr std::chrono::seconds kTokenLife{8 * 3600};

  std::string challenge(Clock::time_point now);  // 64 hexadecimal digits
  // True once for each challenge, within its life.
  bool redeem(const std::string& challenge, Clock::time_point now);
  std::string token_for(const PublicKey& key, Clock::time_point now);
  std::optional<PublicKey> owner(const std::string& token, Clock::time_point now);
  void forget(const PublicKey& key);  // its tokens end

 private:
  absl::Mutex mutex_;
  std::deque<std::pair<Clock::time_point, std::string>> challenges_ ABSL_GUARDED_BY(mutex_);
  struct Token {
    PublicKey key;
    Clock::time_point end;
  };
  std::map<std::string, Token> tokens_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace umbel::superlink
