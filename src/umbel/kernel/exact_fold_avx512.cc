#include "umbel/kernel/exact_fold.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include "umbel/kernel/exact_fold_loops.h"

namespace umbel::kernel {

extern const Loops kLoops_avx512;
const Loops kLoops_avx512{"avx512",   max_bits_float, max_bits_double, add_float,
                          add_double, mean_float,     add_wide};

}  // namespace umbel::kernel
#endif
