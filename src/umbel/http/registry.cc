#include "umbel/http/registry.h"

#include <absl/time/time.h>

#include <vector>

namespace umbel::http {

std::optional<Registry::Place> Registry::enter(const std::string& address) {
  const absl::MutexLock lock(&mutex_);
  size_t& count = by_address_[address];
  if (count >= places_per_address_) return std::nullopt;
  ++count;
  entries_.emplace(++last_, Entry{address, {}});
  ++size_;
  return Place(this, last_);
}

void Registry::remove(uint64_t id) {
  const absl::MutexLock lock(&mutex_);
  const auto entry = entries_.find(id);
  const auto count = by_address_.find(entry->second.address);
  if (--count->second == 0) by_address_.erase(count);
  entries_.erase(entry);
  --size_;
  // Under the lock, so that whoever waits for everyone to be gone waits for this as well.
  if (const auto freed = std::exchange(freed_, nullptr)) freed();
}

void Registry::seat(uint64_t id, std::weak_ptr<Guest> guest) {
  const absl::MutexLock lock(&mutex_);
  entries_[id].guest = std::move(guest);
}

void Registry::when_freed(std::function<void()> call) {
  const absl::MutexLock lock(&mutex_);
  freed_ = std::move(call);
}

// Guests are called without the lock: one that ends gives its place back.
template <class Each>
void Registry::for_each(Each each) {
  std::vector<std::shared_ptr<Guest>> guests;
  {
    const absl::MutexLock lock(&mutex_);
    guests.reserve(entries_.size());
    for (const auto& [id, entry] : entries_) {
      if (auto guest = entry.guest.lock()) guests.push_back(std::move(guest));
    }
  }
  for (const auto& guest : guests) each(*guest);
}

void Registry::sweep(SteadyTime now) {
  for_each([&](Guest& guest) {
    if (guest.past(now)) guest.expire();
  });
}

void Registry::leave_all() {
  for_each([](Guest& guest) { guest.leave(); });
}

void Registry::drop_all() {
  for_each([](Guest& guest) { guest.drop(); });
}

bool Registry::wait_empty(std::chrono::milliseconds limit) {
  const absl::MutexLock lock(&mutex_);
  const auto empty = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return entries_.empty(); };
  return mutex_.AwaitWithTimeout(absl::Condition(&empty), absl::FromChrono(limit));
}

}  // namespace umbel::http
