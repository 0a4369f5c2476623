#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "umbel/base/status.h"
#include "umbel/population/traits.h"

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

  // By an attribute of the clients (population/traits.h), where that is known.
  //
  // So many clients, of each category its share of the population, rounded by chance so that the
  // mean over many draws is exact: stratified("gender", 100).
  static Sampler stratified(std::string attribute, size_t clients);
  // So many of each category, and nobody of the others: quota("gender", {{"women", 50},
  // {"men", 50}}).
  static Sampler quota(std::string attribute, std::vector<std::pair<std::string, size_t>> quotas);
  // So many clients, one after another, each in proportion to its category's weight, 0 for those
  // that are not named.
  static Sampler weighted(std::string attribute, size_t clients,
                          std::vector<std::pair<std::string, double>> weights);
  // So many clients, one after another, each in proportion to size(client): 0 to `size_max`, of
  // which the mean should not be a small part.  Called from the thread that draws.
  static Sampler proportional(size_t clients, std::function<double(uint64_t)> size,
                              double size_max);

  // True if no draw from any population picks anybody.
  bool picks_nobody() const;

  // INVALID_ARGUMENT if this rule cannot draw from so many clients:
  // `sampler: count 100 of a population of 50`.  NOT_FOUND for an attribute or category that
  // `traits` does not know.
  Status validate(uint64_t population, const Traits* traits = nullptr) const;

  // The clients of one draw, in ascending order.  A function of its arguments (Poisson's gaps go
  // through the C library's log1p).  Costs time and memory in the number of clients drawn, not in
  // `population`.
  Result<std::vector<uint64_t>> sample(uint64_t population, uint64_t seed) const;

  // The same from those who are available: as many as there are, if these are fewer than the rule
  // wants.  Costs as draw_by() says.
  struct Drawn {
    std::vector<uint64_t> clients;
    uint64_t wanted = 0;
  };
  Result<Drawn> draw(const Pool& pool, uint64_t seed) const;

  std::string describe() const;  // "fraction 0.1, at least 1"

  // Functions are equal to their copies alone.
  friend bool operator==(const Sampler& a, const Sampler& b);

 private:
  enum class Kind : uint8_t {
    kFraction,
    kCount,
    kPoisson,
    kAll,
    kStratified,
    kQuota,
    kWeighted,
    kProportional
  };
  // What the last four have besides.
  struct Traited {
    std::string attribute;
    std::vector<std::pair<std::string, double>> categories;  // with their quotas or weights
    std::function<double(uint64_t)> size;
    double size_max = 0;
  };
  Sampler(Kind kind, double share, uint64_t clients,
          std::shared_ptr<const Traited> traited = nullptr)
      : kind_(kind), share_(share), clients_(clients), traited_(std::move(traited)) {}
  Status validate_traited(const Traits* traits) const;
  Result<std::vector<uint64_t>> draw_traited(const Pool& pool, uint64_t seed) const;
  // The cohort's size, in the mean for Poisson; requires a valid share.
  uint64_t cohort(uint64_t population) const;

  Kind kind_;
  double share_;      // of the population, or the probability
  uint64_t clients_;  // how many, or at least how many
  std::shared_ptr<const Traited> traited_;
};

}  // namespace umbel
