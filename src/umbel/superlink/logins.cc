#include "umbel/superlink/logins.h"

#include <algorithm>

namespace umbel::superlink {

std::string Logins::challenge(Clock::time_point now) {
  absl::MutexLock lock(&mutex_);
  while (!challenges_.empty() && (challenges_.front().first + kChallengeLife < now ||
                                  challenges_.size() >= kChallengesMax)) {
    challenges_.pop_front();
  }
  challenges_.emplace_back(now, random_hex(32));
  return challenges_.back().second;
}

bool Logins::redeem(const std::string& challenge, Clock::time_point now) {
  absl::MutexLock lock(&mutex_);
  const auto found = std::ranges::find_if(
      challenges_, [&](const auto& one) { return equal_secrets(one.second, challenge); });
  if (found == challenges_.end()) return false;
  const bool alive = found->first + kChallengeLife >= now;
  challenges_.erase(found);
  return alive;
}

std::string Logins::token_for(const PublicKey& key, Clock::time_point now) {
  absl::MutexLock lock(&mutex_);
  if (tokens_.size() >= kTokensMax) {
    const auto oldest = std::ranges::min_element(
        tokens_, [](const auto& a, const auto& b) { return a.second.end < b.second.end; });
    tokens_.erase(oldest);
  }
  std::string token = random_hex(32);
  tokens_[token] = {key, now + kTokenLife};
  return token;
}

std::optional<PublicKey> Logins::owner(const std::string& token, Clock::time_point now) {
  absl::MutexLock lock(&mutex_);
  // Tokens are 256 random bits: the time of a look-up tells nothing that helps to guess one.
  const auto found = tokens_.find(token);
  if (found == tokens_.end()) return std::nullopt;
  if (found->second.end < now) {
    tokens_.erase(found);
    return std::nullopt;
  }
  return found->second.key;
}

void Logins::forget(const PublicKey& key) {
  absl::MutexLock lock(&mutex_);
  std::erase_if(tokens_, [&](const auto& token) { return token.second.key == key; });
}

}  // namespace umbel::superlink
