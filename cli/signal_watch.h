#pragma once

namespace umbel::cli {

// For its life SIGINT, SIGTERM and SIGHUP do not end the program but make a descriptor readable.
// One at a time; made before any other thread is.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;

  int descriptor() const { return descriptor_; }
  // The next signal that came, or 0.  Does not wait.
  int take();
  // The first signal that was taken, or 0.
  int first() const { return first_; }

 private:
  int descriptor_;
  int first_ = 0;
};

// In a child between fork and exec: the signals as a program expects them at its start.
void reset_signals();

}  // namespace umbel::cli
