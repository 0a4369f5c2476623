// Folds float32 updates that lie in a file, on request, so that another program can measure the
// same fold of the same numbers in turn with this one.
//
//   bench_fold FILE K N THREADS     FILE: K x N float32; weights are 1 to K
//
// For each line on standard input: one fold; prints the seconds it took.  At the end of the input:
// prints the first and last elements of the mean.
#include <fmt/core.h>
#include <malloc.h>

#include <charconv>
#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>

#include "bench/measure.h"
#include "umbel/aggregate/weighted_mean.h"

namespace {

size_t number(std::string_view text) {
  size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    fmt::print(stderr, "usage: bench_fold FILE K N THREADS\n");
    return 4;
  }
  // The result's memory is used again, as in an app (main/main.cc).
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 512 << 20);
  const size_t k = number(argv[2]);
  const size_t n = number(argv[3]);
  const umbel::Buffer file = umbel::or_throw(umbel::Buffer::map_file(argv[1]));
  std::vector<umbel::ArrayRecord> updates(k);
  std::vector<umbel::aggregate::Addend> addends;
  for (size_t i = 0; i != k; ++i) {
    // In memory of their own, as replies are.
    const umbel::Buffer bytes = file.slice(i * n * 4, n * 4).clone();
    updates[i].set("x", umbel::or_throw(umbel::Array::make(umbel::DType::kFloat32,
                                                           {static_cast<int64_t>(n)}, bytes)));
    addends.push_back({&updates[i], static_cast<double>(i + 1)});
  }
  umbel::ThreadTeam team(number(argv[4]));
  umbel::ArrayRecord mean;
  fmt::print("ready\n");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    mean = umbel::ArrayRecord();
    const double seconds = umbel::bench::time_of(
        [&] { mean = umbel::or_throw(umbel::aggregate::weighted_mean(addends, team)); });
    fmt::print("{:.9f}\n", seconds);
    std::fflush(stdout);
  }
  if (mean.empty()) return 0;
  const auto values = mean["x"].view<float>();
  fmt::print("{:.9g} {:.9g}\n", values.front(), values.back());
}
