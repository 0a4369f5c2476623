#pragma once

#include <cstdint>

#include "umbel/app/client_app.h"
#include "umbel/torch/draws.h"

namespace umbel::torch {

// While it lives, what its thread does with torch is a matter of that thread alone:
//
// * Torch, OpenMP and OpenBLAS compute on this one thread.  A simulation has a thread for each
//   processor already; a second layer of threads would only be in their way.
// * The random numbers that torch draws without a generator given (initial weights, dropout,
//   randperm, randn) come from a generator of this object's, started from `seed`.  Torch's own
//   generator is one for the whole process: with it, clients that train at the same time would
//   draw from each other's numbers, and no run would be like another.
//
// So an action that runs inside gives the same bytes on any number of threads.  Threads that it
// starts (a DataLoader with workers) are not inside, nor is ::torch::manual_seed() of any effect.
// They nest; the inner one counts.  One thread only: make and destroy it on the same.
//
// The first one of a process sets torch to one thread per calling thread, for good.
class Isolated {
 public:
  explicit Isolated(uint64_t seed);
  Isolated(const Isolated&) = delete;
  Isolated& operator=(const Isolated&) = delete;

 private:
  DrawsFrom draws_;
};

// The mod that runs each action so, from Context::seed():
//
//   umbel::ClientApp client = umbel::ClientApp().mod(umbel::torch::isolate).train(train);
Message isolate(const Message& message, Context& context, const ClientApp::Action& next);

}  // namespace umbel::torch
