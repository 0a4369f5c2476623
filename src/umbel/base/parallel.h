#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace umbel {

// Something that can run independent pieces of one job.  What a piece computes may not depend on
// which thread runs it or when, so that results are the same on one thread and on many.
class Parallel {
 public:
  virtual ~Parallel() = default;
  // The number of pieces that can run at once.
  virtual size_t threads() const = 0;
  // Calls piece(0) to piece(count - 1), each once, in any order; returns when all have returned.
  // A piece runs with the caller's DenormalMode, on whichever thread.  The first exception that a
  // piece throws is rethrown here, after the others have ended.
  virtual void for_each(size_t count, const std::function<void(size_t)>& piece) = 0;
};

// Runs the pieces one after the other on the calling thread.
class Serial final : public Parallel {
 public:
  size_t threads() const override { return 1; }
  void for_each(size_t count, const std::function<void(size_t)>& piece) override;
};

// A fixed team of threads (the caller is one of them); smaller than asked for where the system
// gives no more threads.  One job at a time: for_each may be called from any one thread, not from
// within a piece.
class ThreadTeam final : public Parallel {
 public:
  explicit ThreadTeam(size_t threads);  // at least 1
  ~ThreadTeam() override;
  size_t threads() const override;
  void for_each(size_t count, const std::function<void(size_t)>& piece) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The number of processors this process may use.
size_t available_processors();

// Sets, for its life, how this thread's vector unit treats denormal numbers: flushed to zero
// (many times faster on most processors) or computed exactly.
class DenormalMode {
 public:
  enum Mode { kFlush, kExact };
  explicit DenormalMode(Mode mode);
  static Mode current();  // this thread's
  ~DenormalMode();
  DenormalMode(const DenormalMode&) = delete;

 private:
  unsigned before_;
};

}  // namespace umbel
