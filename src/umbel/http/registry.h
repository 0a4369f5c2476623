#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace umbel::http {

using SteadyTime = std::chrono::steady_clock::time_point;

// What a server holds one of per connection.
class Guest {
 public:
  virtual ~Guest() = default;
  // The time set below has passed; closes, or says why not.  Any thread.
  virtual void expire() = 0;
  // Ends in order, if there is a way to.  Any thread.
  virtual void leave() = 0;
  // Ends at once.  Any thread.
  virtual void drop() = 0;

  void set_deadline(SteadyTime when) { deadline_ = when.time_since_epoch().count(); }
  void no_deadline() { deadline_ = std::numeric_limits<int64_t>::max(); }
  bool past(SteadyTime now) const { return deadline_ <= now.time_since_epoch().count(); }

 private:
  std::atomic<int64_t> deadline_{std::numeric_limits<int64_t>::max()};
};

// Who is connected, in all and by address, with limits on both; one sweep over all of them looks
// after everyone's deadline, so that nobody needs a timer.  Any threads.
class Registry {
 public:
  // A place, free again at its end.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept
        : registry_(std::exchange(other.registry_, nullptr)), id_(other.id_) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(registry_, other.registry_);
      std::swap(id_, other.id_);
      return *this;
    }
    ~Place() {
      if (registry_ != nullptr) registry_->remove(id_);
    }
    void take(std::weak_ptr<Guest> guest) { registry_->seat(id_, std::move(guest)); }

   private:
    friend class Registry;
    Place(Registry* registry, uint64_t id) : registry_(registry), id_(id) {}
    Registry* registry_ = nullptr;
    uint64_t id_ = 0;
  };

  Registry(size_t places, size_t places_per_address)
      : places_(places), places_per_address_(places_per_address) {}

  bool full() const { return size_ >= places_; }
  size_t size() const { return size_; }
  // Nothing if this address has too many.
  std::optional<Place> enter(const std::string& address);
  // Called, once, when a place has become free.
  void when_freed(std::function<void()> call);

  void sweep(SteadyTime now);
  void leave_all();
  void drop_all();
  // Whether everyone has gone by then.
  bool wait_empty(std::chrono::milliseconds limit);

 private:
  struct Entry {
    std::string address;
    std::weak_ptr<Guest> guest;
  };
  void remove(uint64_t id);
  void seat(uint64_t id, std::weak_ptr<Guest> guest);
  template <class Each>
  void for_each(Each each);

  const size_t places_, places_per_address_;
  std::atomic<size_t> size_{0};
  absl::Mutex mutex_;
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unordered_map<uint64_t, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::string, size_t> by_address_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> freed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace umbel::http
