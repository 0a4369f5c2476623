#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

#include "umbel/base/rng.h"
#include "umbel/base/status.h"
#include "umbel/data/dataset.h"
#include "umbel/data/generate.h"

namespace umbel::data {

// The checks that generators share.  Errors name the generator and the option as users write it.
class OptionCheck {
 public:
  explicit OptionCheck(std::string_view generator) : generator_(generator) {}

  void within(std::string_view option, uint64_t value, uint64_t least, uint64_t most) {
    if (!status_.ok() || (value >= least && value <= most)) return;
    status_ = invalid_argument("generator {}: {} is {}, expected {} to {}", generator_, option,
                               value, least, most);
  }
  void real(std::string_view option, double value, double most) {
    if (!status_.ok() || (value >= 0 && value <= most)) return;
    status_ = invalid_argument("generator {}: {} is {}, expected a number from 0 to {}", generator_,
                               option, value, most);
  }
  // The examples, each of `width` numbers; and the clients who hold them.
  void size(uint64_t examples, uint64_t width, uint64_t clients) {
    within("examples", examples, 1, uint64_t{kExamplesMax});
    within("clients", clients, 1, INT32_MAX);
    if (!status_.ok() || width <= kGeneratedNumbersMax / examples) return;
    status_ = resource_exhausted("generator {}: {} examples of {} numbers, the limit is {} in all",
                                 generator_, examples, width, kGeneratedNumbersMax);
  }
  const Status& status() const { return status_; }

 private:
  std::string_view generator_;
  Status status_;
};

inline constexpr double kSpreadMax = 1e6;

// What the streams of a generator's seed are for.
enum class Stream : uint64_t { kModel = 1, kClient = 2, kExample = 3, kContext = 4, kOwn = 5 };

inline Rng stream(uint64_t seed, Stream purpose, uint64_t index) {
  return Rng(derive_seed(seed, {static_cast<uint64_t>(purpose), index}));
}

// int32 [n]: i % clients.
Array dealt_ids(uint64_t examples, uint64_t clients);

}  // namespace umbel::data
