#include "umbel/kernel/exact_fold.h"

#if 1
#include "umbel/kernel/exact_fold_loops.h"

namespace umbel::kernel {

extern const Loops kLoops_plain;
const Loops kLoops_plain{"plain",    max_bits_float, max_bits_double, add_float,
                         add_double, mean_float,     add_wide};

}  // namespace umbel::kernel
#endif
