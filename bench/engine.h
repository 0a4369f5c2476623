#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "umbel/umbel.h"

namespace umbel::bench {

// Seconds that `rounds` rounds of fed_avg take on a simulation: `clients` of `population` each.
double run_engine(const ClientApp& app, const ArrayRecord& initial, uint64_t population,
                  size_t clients, uint64_t rounds, size_t threads);

// pairs: how often each comparison is repeated; smoke: small sizes, to see that it runs.
struct Size {
  size_t pairs = 7;
  bool smoke = false;
};
void bench_overhead(Size size);    // S0, S6
void bench_population(Size size);  // S5
void bench_research(Size size);    // research
// The memory of a process that runs one population, in a process of its own.
void bench_memory(uint64_t population);

}  // namespace umbel::bench
