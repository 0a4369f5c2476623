#pragma once

#include <cmath>
#include <cstdint>

#include "umbel/base/status.h"
#include "umbel/data/dataset.h"
#include "umbel/data/partition_sizes.h"

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

// For partitions in which examples_min may be 0, and there may then be more clients than examples.
inline Status check_clients_share(uint64_t clients, uint64_t examples, uint64_t examples_min) {
  UMBEL_RETURN_IF_ERROR(check_clients(clients));
  if (clients > kClientsSharedMax) {
    return invalid_argument("partition: clients is {}, {} examples are shared out to {} at most",
                            clients, examples, kClientsSharedMax);
  }
  if (examples_min == 0 || clients <= examples / examples_min) return absl::OkStatus();
  return invalid_argument(
      "partition: clients is {} and examples-min is {}, but there are {} examples: ask for fewer "
      "clients, or for a smaller examples-min (0 allows empty ones)",
      clients, examples_min, examples);
}

inline Status check_size_sigma(double sigma) {
  if (sigma >= 0 && sigma <= 5) return absl::OkStatus();
  return invalid_argument("partition: size-sigma is {}, expected a number from 0 to 5", sigma);
}

inline Status check_strictness(double strictness) {
  if (strictness >= 0 && strictness <= 1) return absl::OkStatus();
  return invalid_argument("partition: strictness is {}, expected a number from 0 to 1", strictness);
}

inline Status check_windows(uint64_t windows, uint64_t windows_max) {
  if (windows >= 1 && windows <= windows_max) return absl::OkStatus();
  return invalid_argument("partition: windows is {}, expected 1 to {}", windows, windows_max);
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
