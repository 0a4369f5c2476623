#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/engine.h"

// bench_engine overhead|population|research [--smoke]
// bench_engine memory CLIENTS
int main(int argc, char** argv) {
  using namespace umbel::bench;
  // As an app's own main function does.
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 512 << 20);
  if (argc == 3 && std::strcmp(argv[1], "memory") == 0) {
    bench_memory(std::strtoull(argv[2], nullptr, 10));
    return 0;
  }
  Size size;
  bool overhead = false;
  bool population = false;
  bool research = false;
  for (int i = 1; i < argc; ++i) {
    overhead |= std::strcmp(argv[i], "overhead") == 0;
    population |= std::strcmp(argv[i], "population") == 0;
    research |= std::strcmp(argv[i], "research") == 0;
    if (std::strcmp(argv[i], "--smoke") == 0) size = {.pairs = 1, .smoke = true};
  }
  if (!overhead && !population && !research) {
    std::fprintf(stderr,
                 "usage: bench_engine overhead|population|research [--smoke], or memory CLIENTS\n");
    return 4;
  }
  if (overhead) bench_overhead(size);
  if (population) bench_population(size);
  if (research) bench_research(size);
}
