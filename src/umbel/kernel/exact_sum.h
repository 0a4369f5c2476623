#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace umbel::kernel {

// The exact sum of any doubles (Kulisch's long accumulator): 2^40 terms of any finite size without
// a rounding, so the order of the terms cannot matter.  Rounds once, when it is read.
class ExactSum {
 public:
  // Terms must be finite.
  void add(double term);
  // Adds a * b exactly, as long as the product's low part stays above 2^-1074.
  void add_product(double a, double b);
  void add(const ExactSum& other);

  // The sum, rounded to nearest with ties to even; infinity beyond double's range.
  double value() const;
  // value() and what it lacks, rounded: together about 106 bits of the sum.
  struct Pair {
    double high;
    double low;
  };
  Pair pair() const;

 private:
  // Limb i holds bits 32i to 32i+31 above 2^-1074, with room for 2^30 carries.
  static constexpr size_t kLimbs = 70;
  void carry();

  std::array<int64_t, kLimbs> limbs_{};
  uint32_t adds_ = 0;  // since the last carry()
};

}  // namespace umbel::kernel
