#include "umbel/base/parallel.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace umbel {

void Serial::for_each(size_t count, const std::function<void(size_t)>& piece) {
  std::exception_ptr failure;
  for (size_t i = 0; i != count; ++i) {
    try {
      piece(i);
    } catch (...) {
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

struct ThreadTeam::State {
  absl::Mutex mutex;
  const std::function<void(size_t)>* piece ABSL_GUARDED_BY(mutex) = nullptr;
  size_t count ABSL_GUARDED_BY(mutex) = 0;
  DenormalMode::Mode mode ABSL_GUARDED_BY(mutex) = DenormalMode::kExact;
  size_t job ABSL_GUARDED_BY(mutex) = 0;      // how many jobs have started
  size_t working ABSL_GUARDED_BY(mutex) = 0;  // team threads still in the current job
  bool closing ABSL_GUARDED_BY(mutex) = false;
  std::exception_ptr failure ABSL_GUARDED_BY(mutex);
  std::atomic<size_t> next{0};
  std::vector<std::jthread> threads;

  void work(const std::function<void(size_t)>& piece, size_t count) {
    for (size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      try {
        piece(i);
      } catch (...) {
        absl::MutexLock lock(&mutex);
        if (!failure) failure = std::current_exception();
      }
    }
  }

  void serve() {
    size_t done = 0;
    for (;;) {
      const std::function<void(size_t)>* current = nullptr;
      size_t pieces = 0;
      DenormalMode::Mode caller = DenormalMode::kExact;
      {
        absl::MutexLock lock(&mutex);
        auto called = [this, &done]()
                          ABSL_SHARED_LOCKS_REQUIRED(mutex) { return closing || job != done; };
        mutex.Await(absl::Condition(&called));
        if (closing) return;
        done = job;
        current = piece;
        pieces = count;
        caller = mode;
      }
      {
        const DenormalMode same(caller);
        work(*current, pieces);
      }
      absl::MutexLock lock(&mutex);
      --working;
    }
  }
};

ThreadTeam::ThreadTeam(size_t threads) : state_(std::make_unique<State>()) {
  state_->threads.reserve(std::max<size_t>(threads, 1) - 1);
  try {
    for (size_t i = 1; i < threads; ++i) {
      state_->threads.emplace_back([state = state_.get()] { state->serve(); });
    }
  } catch (const std::system_error&) {
    // No more threads to be had: what a job computes does not depend on their number.
  }
}

ThreadTeam::~ThreadTeam() {
  absl::MutexLock lock(&state_->mutex);
  state_->closing = true;
}

size_t ThreadTeam::threads() const { return state_->threads.size() + 1; }

void ThreadTeam::for_each(size_t count, const std::function<void(size_t)>& piece) {
  State& state = *state_;
  state.next = 0;
  {
    absl::MutexLock lock(&state.mutex);
    state.piece = &piece;
    state.count = count;
    state.mode = DenormalMode::current();
    state.working = state.threads.size();
    state.failure = nullptr;
    ++state.job;
  }
  state.work(piece, count);
  absl::MutexLock lock(&state.mutex);
  auto finished = [&state]() ABSL_SHARED_LOCKS_REQUIRED(state.mutex) { return state.working == 0; };
  state.mutex.Await(absl::Condition(&finished));
  if (state.failure) std::rethrow_exception(std::exchange(state.failure, nullptr));
}

size_t available_processors() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

#if defined(__SSE2__)
namespace {
constexpr unsigned kFlushBits = 0x8040;  // FTZ and DAZ in MXCSR
}
DenormalMode::DenormalMode(Mode mode) : before_(_mm_getcsr()) {
  _mm_setcsr(mode == kFlush ? before_ | kFlushBits : before_ & ~kFlushBits);
}
DenormalMode::~DenormalMode() { _mm_setcsr(before_); }
DenormalMode::Mode DenormalMode::current() {
  return (_mm_getcsr() & kFlushBits) == kFlushBits ? kFlush : kExact;
}
#else
DenormalMode::DenormalMode(Mode) : before_(0) {}
DenormalMode::~DenormalMode() = default;
DenormalMode::Mode DenormalMode::current() { return kExact; }
#endif

}  // namespace umbel
