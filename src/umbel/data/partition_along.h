#pragma once

#include <cstdint>
#include <vector>

#include "umbel/data/dataset.h"
#include "umbel/data/partition_scheme.h"
#include "umbel/record/array.h"

namespace umbel::data {

// Clients who differ in where on an axis their examples lie: the axis of a feature or of time.
// `values` is [n], of integers or floats, all finite; equal ones are in random order.  4 bytes per
// example and client.

struct ContinuousOptions {
  uint64_t clients = 100;
  double strictness = 1;  // 0 to 1
  uint64_t seed = 0;
  uint64_t examples_min = 1;  // of each client
};
// The examples in the order of their values, cut into as many runs as there are clients: client 0
// has the least.  Before the cut each example is loosened with probability 1 - strictness, and the
// loosened ones change places at random: 1 is sorted, 0 is iid, and a client of K is expected to
// have strictness + (1 - strictness) / K of its run.
Result<Partition> continuous(const Array& values, const ContinuousOptions& options);

struct TemporalOptions {
  uint64_t clients = 100;
  uint64_t windows = 10;  // 1 to the number of clients
  double strictness = 1;  // 0 to 1: how far time decides
  uint64_t seed = 0;
  uint64_t examples_min = 1;
};
// Time is cut into windows with as many examples each, the clients are shared out to the windows in
// order, and those of one window share its examples at random: what a federation looks like whose
// clients joined, and measured, at different times of a drifting world.  Examples are loosened as
// in continuous().
Result<Partition> temporal(const Array& times, const TemporalOptions& options);

struct DrawnAlongOptions {
  uint64_t clients = 1'000'000;
  uint64_t windows = 0;  // of temporal(); 0: each client has a run around its own place
  uint64_t examples_per_client = 60;  // 1 to the number of examples
  double strictness = 1;
  uint64_t seed = 0;
};
// Both for populations of any size: a client's examples are drawn from its own seed, without
// repeats while the data last; each is of its run with probability s + (1 - s) r, where r is the
// run's share of the data.  A run has 1 / windows of the examples, or where windows is 0 as many as
// a client.
Result<Partition> drawn_along(const Array& values, const DrawnAlongOptions& options);

// A feature of each example: float32 [n].  `column` counts the numbers of one example.
Result<Array> feature_column(const Dataset& dataset, int64_t column);

// Time within clients, for any partition: in a round only what was measured in its window is there.
// A value; copies share nothing, 2 bytes per example.
class TimeWindows {
 public:
  static constexpr uint64_t kWindowsMax = 65536;
  // The examples in the order of their times, cut into windows with as many each, or one more.
  // INVALID_ARGUMENT unless 1 <= windows <= the number of examples, and at most
  // kWindowsMax.
  static Result<TimeWindows> make(const Array& times, uint64_t windows);

  uint64_t windows() const { return windows_; }
  uint64_t window_of(uint32_t example) const;  // umbel::Error if there is no such example
  // Leaves those of `examples` that are of the window, in their order; perhaps none.
  void keep(uint64_t window, std::vector<uint32_t>& examples) const;

 private:
  uint64_t windows_ = 0;
  std::vector<uint16_t> window_;  // of each example
};

}  // namespace umbel::data
