#include "umbel/torch/threads.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <mutex>

#include "umbel/base/error.h"
#include "umbel/base/status.h"

namespace umbel::torch {

namespace {

// Calls void name(int) of a library that torch may or may not have brought along.
void call_if_there(const char* name, int argument) {
  using Setter = void (*)(int);
  if (auto* setter = reinterpret_cast<Setter>(::dlsym(RTLD_DEFAULT, name))) setter(argument);
}

// OpenBLAS built without threads has no locks either: two threads that multiply at the same time
// use each other's buffers, and the products are now and then wrong.
void refuse_unsafe_blas() {
  using Parallel = int (*)();
  constexpr int kSequential = 0;
  const auto parallel = reinterpret_cast<Parallel>(::dlsym(RTLD_DEFAULT, "openblas_get_parallel"));
  if (!parallel || parallel() != kSequential) return;
  throw Error(failed_precondition(
      "the OpenBLAS that LibTorch uses here is the serial build, which is wrong now and then when "
      "several threads use it: install libopenblas0-pthread, or choose another with "
      "`update-alternatives --config libblas.so.3-x86_64-linux-gnu`"));
}

}  // namespace

void use_one_thread() {
  static std::once_flag once;
  std::call_once(once, [] {
    refuse_unsafe_blas();
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
