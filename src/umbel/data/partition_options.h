#pragma once

#include <cmath>
#include <cstdint>

#include "umbel/base/status.h"
#include "umbel/data/dataset.h"

namespace umbel::data {

// The checks that partitions share.  Errors name the option as users write it.

inline Status check_examples(uint64_t examples) {
  if (examples >= 1 && examples <= uint64_t{kExamplesMax}) return absl::OkStatus();
  return invalid_argument("partition: {} examples, expected 1 to {}", examples, kExamplesMax);
}

inline Status check_clients(uint64_t clients) {
  if (clients >= 1) return absl::OkStatus();
  return invalid_argument("partition: clients is 0, expected at least 1");
}

inline Status check_clients_share(uint64_t clients, uint64_t examples) {
  UMBEL_RETURN_IF_ERROR(check_clients(clients));
  if (clients <= examples) return absl::OkStatus();
  return invalid_argument(
      "partition: clients is {}, but {} examples can only be shared out to as many clients or "
      "fewer",
      clients, examples);
}

inline Status check_alpha(double alpha) {
  if (alpha > 0 && std::isfinite(alpha)) return absl::OkStatus();
  return invalid_argument("partition: alpha is {}, expected a finite number above 0", alpha);
}

inline Status check_examples_per_client(uint64_t each, uint64_t examples) {
  if (each >= 1 && each <= examples) return absl::OkStatus();
  return invalid_argument("partition: examples-per-client is {}, expected 1 to {}", each, examples);
}

inline Status check_shards_per_client(uint64_t shards, uint64_t shards_max) {
  if (shards >= 1 && shards <= shards_max) return absl::OkStatus();
  return invalid_argument("partition: shards-per-client is {}, expected 1 to {}", shards,
                          shards_max);
}

}  // namespace umbel::data
