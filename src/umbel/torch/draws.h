#pragma once

#include <cstdint>
#include <memory>

namespace umbel::torch {

// For its life, every draw of this thread's torch operators that names no generator comes from one
// of this object's own, started from `seed`.
//
// Every operator of torch that draws takes a generator as an optional argument.  Torch's dispatcher
// lets us stand before them all, on threads that ask for it, and fill that argument in where it is
// empty.  On other threads, and for all other operators, nothing changes and nothing is slower.
class DrawsFrom {
 public:
  explicit DrawsFrom(uint64_t seed);
  ~DrawsFrom();
  DrawsFrom(const DrawsFrom&) = delete;
  DrawsFrom& operator=(const DrawsFrom&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace umbel::torch
