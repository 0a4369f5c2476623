#include "hub_follower.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <random>

namespace umbel::cli {

namespace {

constexpr auto kHeldBack = std::chrono::seconds(30);
constexpr auto kPatience = std::chrono::minutes(10);
constexpr auto kFirstPause = std::chrono::milliseconds(200);
constexpr auto kLongestPause = std::chrono::milliseconds(5'000);

bool may_pass(const Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kDeadlineExceeded;
}

}  // namespace

HubFollower::HubFollower(HubClient& client, int64_t run, int64_t after)
    : client_(client),
      run_(run),
      after_(after),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { follow(); }) {}

HubFollower::~HubFollower() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    changed_.notify_all();
  }
  client_.cancel();
  thread_.join();
}

HubFollower::Taken HubFollower::take() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_.get(), &count, sizeof count);
  const std::lock_guard lock(mutex_);
  Taken taken = std::move(waiting_);
  waiting_ = {};
  waiting_.ended = taken.ended;
  changed_.notify_all();
  return taken;
}

// At most one answer of the hub waits to be taken.
void HubFollower::hand_over(std::vector<HubEvent> events, std::string notice,
                            std::optional<Status> ended) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return cancelled_ || waiting_.events.empty(); });
  waiting_.events = std::move(events);
  if (!notice.empty()) waiting_.notice = std::move(notice);
  waiting_.ended = std::move(ended);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t put = write(wake_.get(), &one, sizeof one);
}

void HubFollower::follow() {
  while (true) {
    auto events = client_.events(run_, after_, kHeldBack);
    if (!events.ok()) {
      if (may_pass(events.status()) && wait_to_retry(events.status())) continue;
      return hand_over({}, "", events.status());
    }
    std::string notice;
    if (std::exchange(lost_at_, std::nullopt)) notice = "the hub is there again";
    pause_ = std::chrono::milliseconds(0);
    bool over = false;
    for (const HubEvent& event : *events) {
      after_ = std::max(after_, event.sequence);
      over = over || std::holds_alternative<Run>(event.what);
    }
    if (events->empty() && notice.empty()) {
      const std::lock_guard lock(mutex_);
      if (cancelled_) return;
      continue;
    }
    hand_over(*std::move(events), std::move(notice),
              over ? std::optional<Status>(absl::OkStatus()) : std::nullopt);
    if (over) return;
    const std::lock_guard lock(mutex_);
    if (cancelled_) return;
  }
}

// False if it has lasted too long, or nobody wants to know any more.
bool HubFollower::wait_to_retry(const Status& why) {
  static thread_local std::minstd_rand random(std::random_device{}());
  if (!lost_at_) {
    lost_at_ = Clock::now();
    hand_over({}, fmt::format("{}; trying again", message_of(why)), std::nullopt);
  }
  if (Clock::now() - *lost_at_ > kPatience) return false;
  pause_ = std::clamp(2 * pause_, kFirstPause, kLongestPause);
  std::uniform_int_distribution<int64_t> jitter(pause_.count() / 2, pause_.count());
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(jitter(random)), [&] { return cancelled_; });
  return !cancelled_;
}

}  // namespace umbel::cli
