#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "umbel/base/status.h"

namespace umbel {

// Whom to ask in a round: a rule that draws clients without replacement from a population whose
// ids are 0 to population-1.  A value: it holds a kind and a number, never a list of clients.
class Sampler {
 public:
  // round(share * population) clients, and no fewer than `clients_min`.
  static Sampler fraction(double share, size_t clients_min = 1) {
    return Sampler(Kind::kFraction, share, clients_min);
  }
  static Sampler count(size_t clients) { return Sampler(Kind::kCount, 0, clients); }
  // Every client by itself with this probability.  The cohort's size is random and may be 0: such
  // a round is legal and empty.  It is the sampling that privacy accountants assume.
  static Sampler poisson(double probability) { return Sampler(Kind::kPoisson, probability, 0); }
  static Sampler all() { return Sampler(Kind::kAll, 0, 0); }
  static Sampler none() { return count(0); }

  // True if no draw from any population picks anybody.
  bool picks_nobody() const;

  // INVALID_ARGUMENT if this rule cannot draw from so many clients:
  // `sampler: count 100 of a population of 50`.
  Status validate(uint64_t population) const;

  // The clients of one draw, in ascending order.  A function of its arguments (Poisson's gaps go
  // through the C library's log1p).  Costs time and memory in the number of clients drawn, not in
  // `population`.
  Result<std::vector<uint64_t>> sample(uint64_t population, uint64_t seed) const;

  std::string describe() const;  // "fraction 0.1, at least 1"

  friend bool operator==(const Sampler&, const Sampler&) = default;

 private:
  enum class Kind : uint8_t { kFraction, kCount, kPoisson, kAll };
  Sampler(Kind kind, double share, uint64_t clients)
      : kind_(kind), share_(share), clients_(clients) {}
  // The cohort's size, in the mean for Poisson; requires a valid share.
  uint64_t cohort(uint64_t population) const;

  Kind kind_;
  double share_;      // of the population, or the probability
  uint64_t clients_;  // how many, or at least how many
};

}  // namespace umbel
