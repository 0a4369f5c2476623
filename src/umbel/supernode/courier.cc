#include "umbel/supernode/courier.h"

#include <absl/time/time.h>

#include "umbel/supernode/transfers.h"

namespace umbel::supernode {

namespace {

using Clock = std::chrono::steady_clock;

bool is_worth_another_try(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kUnauthenticated:  // the token of a session that was replaced meanwhile
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Token::set(std::string token) {
  absl::MutexLock lock(&mutex_);
  token_ = std::move(token);
  changed_.SignalAll();
}

std::string Token::get() const {
  absl::MutexLock lock(&mutex_);
  return token_;
}

std::string Token::wait(const std::atomic<bool>& cancelled, std::chrono::seconds patience) const {
  absl::MutexLock lock(&mutex_);
  const auto end = Clock::now() + patience;
  while (token_.empty() && !cancelled) {
    const auto left = end - Clock::now();
    if (left <= Clock::duration::zero()) break;
    changed_.WaitWithTimeout(&mutex_, absl::FromChrono(left));
  }
  return token_;
}

void Token::pause(const std::atomic<bool>& cancelled, std::chrono::milliseconds duration) const {
  absl::MutexLock lock(&mutex_);
  const auto end = Clock::now() + duration;
  while (!cancelled) {
    const auto left = end - Clock::now();
    if (left <= Clock::duration::zero()) return;
    changed_.WaitWithTimeout(&mutex_, absl::FromChrono(left));
  }
}

void Token::wake() {
  absl::MutexLock lock(&mutex_);
  changed_.SignalAll();
}

Courier::Courier(http::Endpoint hub, const Token& token, uint64_t seed)
    : hub_(std::move(hub)), token_(token), backoff_(seed) {}

// A client that was interrupted is of no more use.
void Courier::renew(const std::string& token) {
  absl::MutexLock lock(&mutex_);
  if (client_ == nullptr || interrupted_) {
    client_ = std::make_unique<http::Client>(hub_);
    interrupted_ = false;
    used_token_.clear();
  }
  if (used_token_ == token) return;
  client_->set_bearer(token);
  used_token_ = token;
}

void Courier::interrupt() {
  absl::MutexLock lock(&mutex_);
  interrupted_ = true;
  if (client_ != nullptr) client_->cancel();
}

Status Courier::carry(const std::atomic<bool>& cancelled, const Attempt& attempt) {
  backoff_.reset();
  for (int tries = 0;;) {
    const std::string token = token_.wait(cancelled, Transfers::kPatience);
    if (cancelled) return absl::CancelledError("the transfer was cancelled");
    if (token.empty()) return unavailable("{}: no session for too long", hub_.text());
    renew(token);
    if (cancelled) return absl::CancelledError("the transfer was cancelled");
    const Try result = attempt(*client_);
    if (result.status.ok()) return absl::OkStatus();
    if (cancelled) return absl::CancelledError("the transfer was cancelled");
    if (!is_worth_another_try(result.status)) return result.status;
    if (result.progress) {
      tries = 0;
      backoff_.reset();
    }
    if (++tries >= Transfers::kTriesMax) return result.status;
    token_.pause(cancelled, backoff_.next(std::chrono::milliseconds(0)));
  }
}

}  // namespace umbel::supernode
