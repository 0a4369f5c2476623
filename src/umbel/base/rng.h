#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace umbel {

// A seed for one purpose, made from a parent seed and the numbers that name the purpose (round,
// client, ...).  Equal inputs give equal seeds; unequal ones give unrelated streams.
uint64_t derive_seed(uint64_t seed, std::initializer_list<uint64_t> path);
uint64_t derive_seed(uint64_t seed, std::string_view purpose);

// The 128 bits at place `counter` of the stream `key`: Philox4x32 with ten rounds (Salmon et al.,
// "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// Counter-based random numbers: philox() at 0, 1, 2, ... with the seed as key, lower halves first.
// The same seed gives the same bits, below() and uniform() on every machine and thread; the other
// distributions go through the C library's log and its like, and are the same wherever that is.
// Not for keys or for privacy noise.
class Rng {
 public:
  using result_type = uint64_t;
  explicit Rng(uint64_t seed)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)} {}

  static constexpr uint64_t min() { return 0; }
  static constexpr uint64_t max() { return UINT64_MAX; }
  uint64_t operator()() { return bits(); }

  uint64_t bits();                 // 64 uniform bits
  uint64_t below(uint64_t bound);  // uniform on 0..bound-1, without bias; bound >= 1
  double uniform();                // [0, 1), 53 bits
  double normal();                 // mean 0, variance 1 (Box and Muller)
  double gamma(double shape);      // scale 1; Marsaglia and Tsang, ACM TOMS 2000; shape > 0
  // Failures before the first success, probability in (0, 1]; saturates at UINT64_MAX.
  uint64_t geometric(double probability);
  // A point of the symmetric Dirichlet distribution of `categories` categories; alpha > 0.
  std::vector<double> dirichlet(double alpha, size_t categories);
  void dirichlet(double alpha, std::span<double> point);

  // Fisher and Yates' shuffle.
  template <class T>
  void shuffle(std::span<T> items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  void refill();

  std::array<uint32_t, 2> key_;
  uint64_t counter_ = 0;
  std::array<uint64_t, 2> block_{};
  int left_ = 0;
};

}  // namespace umbel
