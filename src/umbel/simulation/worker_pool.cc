#include "umbel/simulation/worker_pool.h"

#include <algorithm>
#include <deque>
#include <thread>
#include <vector>

#include "umbel/base/parallel.h"

namespace umbel {

namespace {
thread_local bool is_worker = false;
}

// Shared by the pool and every thread, so that an relieved thread outlives neither.
struct WorkerPool::State {
  struct Worker {
    size_t lane;
    Job* inside = nullptr;
    bool relieved = false;
  };

  absl::Mutex mutex;
  std::deque<std::shared_ptr<Job>> jobs ABSL_GUARDED_BY(mutex);
  std::vector<std::shared_ptr<Worker>> workers ABSL_GUARDED_BY(mutex);
  size_t threads ABSL_GUARDED_BY(mutex) = 0;  // that have not ended yet
  bool closing ABSL_GUARDED_BY(mutex) = false;
  bool woken ABSL_GUARDED_BY(mutex) = false;

  std::shared_ptr<Job> ready() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    while (!jobs.empty() && !jobs.front()->has_work()) jobs.pop_front();
    return jobs.empty() ? nullptr : jobs.front();
  }

  void serve(Worker& self) {
    is_worker = true;
    const DenormalMode fast(DenormalMode::kFlush);
    absl::MutexLock lock(&mutex);
    while (!self.relieved) {
      auto called = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
        return closing || ready() != nullptr;
      };
      mutex.Await(absl::Condition(&called));
      if (closing) break;
      // Threads inside a job take its pieces without the mutex, so the last may be gone again.
      const std::shared_ptr<Job> job = ready();
      if (!job) continue;
      ++job->active_;
      self.inside = job.get();
      mutex.Unlock();
      const bool kept = job->run(self.lane);
      mutex.Lock();
      if (self.relieved) break;
      self.inside = nullptr;
      --job->active_;
      // Whoever gave the lane up is about to give it to another thread: not one client more here.
      auto replaced = [&]()
                          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { return closing || self.relieved; };
      if (!kept) mutex.Await(absl::Condition(&replaced));
    }
    --threads;
  }
};

namespace {

template <class State, class Worker>
void spawn(const std::shared_ptr<State>& state, std::shared_ptr<Worker> worker) {
  std::thread([state, worker = std::move(worker)] { state->serve(*worker); }).detach();
}

}  // namespace

WorkerPool::WorkerPool(size_t threads)
    : state_(std::make_shared<State>()), lanes_(std::max<size_t>(1, threads)) {
  absl::MutexLock lock(&state_->mutex);
  for (size_t lane = 0; lane != lanes_; ++lane) {
    state_->workers.push_back(std::make_shared<State::Worker>(State::Worker{lane}));
    ++state_->threads;
    spawn(state_, state_->workers.back());
  }
}

WorkerPool::~WorkerPool() { (void)shut_down(absl::ZeroDuration()); }

bool WorkerPool::on_worker() { return is_worker; }

void WorkerPool::start(std::shared_ptr<Job> job) {
  absl::MutexLock lock(&state_->mutex);
  state_->jobs.push_back(std::move(job));
}

bool WorkerPool::wait(const Job& job, absl::Duration at_most) {
  State& state = *state_;
  absl::MutexLock lock(&state.mutex);
  auto over = [&job] { return !job.has_work() && job.active_ == 0; };
  auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) { return over() || state.woken; };
  state.mutex.AwaitWithTimeout(absl::Condition(&ready), at_most);
  state.woken = false;
  return over();
}

void WorkerPool::wake() {
  absl::MutexLock lock(&state_->mutex);
  state_->woken = true;
}

void WorkerPool::relieve(Job& job, std::optional<size_t> lane) {
  absl::MutexLock lock(&state_->mutex);
  for (auto& worker : state_->workers) {
    const bool inside = worker->inside == &job;
    if (lane ? worker->lane != *lane : !inside) continue;
    worker->relieved = true;
    worker->inside = nullptr;
    if (inside) --job.active_;
    worker = std::make_shared<State::Worker>(State::Worker{worker->lane});
    ++state_->threads;
    spawn(state_, worker);
  }
}

bool WorkerPool::shut_down(absl::Duration grace) {
  State& state = *state_;
  absl::MutexLock lock(&state.mutex);
  state.closing = true;
  auto ended = [&state]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) { return state.threads == 0; };
  return state.mutex.AwaitWithTimeout(absl::Condition(&ended), grace);
}

}  // namespace umbel
