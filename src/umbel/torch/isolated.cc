#include "umbel/torch/isolated.h"

#include "umbel/torch/threads.h"

namespace umbel::torch {

Isolated::Isolated(uint64_t seed) : draws_(seed) { use_one_thread(); }

Message isolate(const Message& message, Context& context, const ClientApp::Action& next) {
  const Isolated here(context.seed());
  return next(message, context);
}

}  // namespace umbel::torch
