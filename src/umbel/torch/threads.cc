#include "umbel/torch/threads.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <mutex>

namespace umbel::torch {

namespace {

// Calls void name(int) of a library that torch may or may not have brought along.
void call_if_there(const char* name, int argument) {
  using Setter = void (*)(int);
  if (auto* setter = reinterpret_cast<Setter>(::dlsym(RTLD_DEFAULT, name))) setter(argument);
}

}  // namespace

void use_one_thread() {
  static std::once_flag once;
  std::call_once(once, [] {
    at::set_num_threads(1);
    // Torch does not tell Debian's OpenBLAS, whose threads are its own.
    call_if_there("openblas_set_num_threads", 1);
    call_if_there("bli_thread_set_num_threads", 1);
  });
  // OpenMP's setting is each thread's own, and oneDNN asks OpenMP, not torch.
  static thread_local const bool bound = [] {
    call_if_there("omp_set_num_threads", 1);
    return true;
  }();
  (void)bound;
}

}  // namespace umbel::torch
