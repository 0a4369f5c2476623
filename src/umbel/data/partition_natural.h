#pragma once

#include <cstdint>

#include "umbel/data/partition_scheme.h"
#include "umbel/record/array.h"

namespace umbel::data {

// Data that know whose they are (Dataset::natural_ids): writers, hospitals, machines, speakers.
// `ids` is int32 [n], one of any value for each example.  4 bytes per example and client.

struct NaturalOptions {
  uint64_t seed = 0;          // of the order of a client's examples
  uint64_t examples_min = 1;  // of each client
};
// One client for each id that occurs: client 0 has the smallest.  INVALID_ARGUMENT, naming the id,
// if it has fewer than examples_min examples.
Result<Partition> natural_id(const Array& ids, const NaturalOptions& options = {});

struct GroupedNaturalOptions {
  uint64_t clients = 10;
  uint64_t seed = 0;
  uint64_t examples_min = 1;  // of each client; 0 allows empty ones, and more clients than ids
};
// The ids dealt to the clients at random, ids / clients or one more to each: an id is at one client
// only.
Result<Partition> grouped_natural_id(const Array& ids, const GroupedNaturalOptions& options);

}  // namespace umbel::data
