// P1: 60,000 examples partitioned over 10^6 clients, and what one client of it costs.
//
//   bench_partition [--smoke]
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/measure.h"
#include "umbel/base/rng.h"
#include "umbel/data/partition.h"

namespace {

using umbel::Array;
using umbel::data::Partition;
using umbel::data::PartitionOptions;

constexpr int64_t kExamples = 60'000;
constexpr uint64_t kAsked = 10'000;  // clients, spread over all

struct Data {
  Array labels = Array::uninitialized(umbel::DType::kInt32, {kExamples});
  Array ids = Array::uninitialized(umbel::DType::kInt32, {kExamples});
  Array axis = Array::uninitialized(umbel::DType::kFloat32, {kExamples});
  Data() {
    umbel::Rng rng(1);
    for (size_t i = 0; i != size_t{kExamples}; ++i) {
      labels.mutable_view<int32_t>()[i] = static_cast<int32_t>(rng.below(10));
      ids.mutable_view<int32_t>()[i] = static_cast<int32_t>(rng.below(3500));
      axis.mutable_view<float>()[i] = static_cast<float>(rng.uniform());
    }
  }
};

// The examples of kAsked clients; returns seconds for each, and holds what came against the data.
double seconds_per_client(const Partition& partition) {
  std::vector<uint32_t> examples;
  const uint64_t step = partition.clients() / kAsked;
  size_t wrong = 0;
  const double seconds = umbel::bench::time_of([&] {
    for (uint64_t i = 0; i != kAsked; ++i) {
      partition.examples(i * step, examples);
      wrong += !examples.empty() && examples.front() >= kExamples;
    }
  });
  if (wrong != 0) std::abort();
  return seconds / static_cast<double>(kAsked);
}

void measure(const Data& data, PartitionOptions options, size_t runs, const std::string& form) {
  options.natural_ids = data.ids;
  options.axis = data.axis;
  std::vector<double> make, ask;
  for (size_t run = 0; run != runs; ++run) {
    std::optional<Partition> partition;
    make.push_back(umbel::bench::time_of(
        [&] { partition = umbel::or_throw(umbel::data::make_partition(data.labels, options)); }));
    ask.push_back(seconds_per_client(*partition));
  }
  const std::string what = options.kind + form + ", 60,000 examples over 10^6 clients";
  umbel::bench::print({.id = "P1",
                       .what = what,
                       .ours = 1e3 * umbel::bench::spread_of(make).median,
                       .unit = "ms",
                       .runs = runs});
  umbel::bench::print({.id = "P1",
                       .what = what + ": one client's examples",
                       .ours = 1e6 * umbel::bench::spread_of(ask).median,
                       .unit = "us",
                       .runs = runs});
}

}  // namespace

int main(int argc, char** argv) {
  const bool smoke = argc > 1 && std::string_view(argv[1]) == "--smoke";
  const size_t runs = smoke ? 1 : 9;
  const Data data;
  for (const char* kind : {"dirichlet", "iid", "shards", "linear", "square", "inner-dirichlet",
                           "continuous", "temporal"}) {
    measure(data, {.kind = kind, .clients = 1'000'000}, runs, "");
  }
  for (const char* kind : {"exponential", "grouped-natural-id"}) {
    measure(data, {.kind = kind, .clients = 1'000'000, .examples_min = 0}, runs,
            " (shared out, most are empty)");
  }
}
