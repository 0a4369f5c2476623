#include "umbel/kernel/exact_fold.h"

#if defined(__AVX2__) && defined(__FMA__)
#include "umbel/kernel/exact_fold_loops.h"

namespace umbel::kernel {

extern const Loops kLoops_avx2;
const Loops kLoops_avx2{"avx2",     max_bits_float, max_bits_double, add_float,
                        add_double, mean_float,     add_wide};

}  // namespace umbel::kernel
#endif
