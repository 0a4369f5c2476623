#include "umbel/kernel/exact_fold.h"

namespace umbel::kernel {

extern const Loops kLoops_plain;
#if defined(__x86_64__)
extern const Loops kLoops_avx2;
extern const Loops kLoops_avx512;
#endif

std::vector<const Loops*> all_loops() {
  std::vector<const Loops*> found{&kLoops_plain};
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    found.push_back(&kLoops_avx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
      found.push_back(&kLoops_avx512);
    }
  }
#endif
  return found;
}

const Loops& loops() {
  static const Loops& best = *all_loops().back();
  return best;
}

}  // namespace umbel::kernel
