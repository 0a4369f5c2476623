#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

namespace umbel {

// Threads that run the pieces of jobs; one lane a thread.  A thread that never comes back from a
// job (a client that hangs) can be relieved: its lane gets a new thread, and the old one ends
// when, and if, it returns.
class WorkerPool {
 public:
  // Work in pieces.  run() is entered by several threads at once, with distinct lanes, takes pieces
  // until none is left, and returns.
  class Job {
   public:
    virtual ~Job() = default;
    // False if the lane was given up meanwhile and relieve() is to replace its thread.
    virtual bool run(size_t lane) = 0;
    virtual bool has_work() const = 0;  // pieces that no thread has taken yet

   private:
    friend class WorkerPool;
    uint64_t active_ = 0;  // threads inside run(); guarded by the pool's mutex
  };

  explicit WorkerPool(size_t threads);  // at least 1
  ~WorkerPool();

  size_t lanes() const { return lanes_; }
  // Whether the calling thread is one of a pool's.
  static bool on_worker();
  void start(std::shared_ptr<Job> job);
  // Waits until the job has no work left and no thread inside, or wake() is called, or the time is
  // up.  Returns whether the job is over.
  bool wait(const Job& job, absl::Duration at_most);
  // Gives the lanes of the threads that are inside the job (or that one lane) to new threads.  The
  // old ones count as out of the job, and end when they return from it.
  void relieve(Job& job, std::optional<size_t> lane = {});
  // Wakes whoever waits in wait(), once.
  void wake();

  // Ends all threads.  False if some have not come back from a job within `grace`; the process
  // then ends without joining them.
  bool shut_down(absl::Duration grace);

 private:
  struct State;
  std::shared_ptr<State> state_;
  size_t lanes_;
};

}  // namespace umbel
