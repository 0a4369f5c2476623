#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace umbel::testing_statistics {

// Mean and variance of a sample, and the standard errors of both.
struct Moments {
  double mean = 0;
  double variance = 0;
  double mean_error = 0;
  double variance_error = 0;
};

inline Moments moments_of(const std::vector<double>& sample) {
  const auto n = static_cast<double>(sample.size());
  Moments m;
  for (const double x : sample) m.mean += x / n;
  double fourth = 0;
  for (const double x : sample) {
    m.variance += (x - m.mean) * (x - m.mean) / (n - 1);
    fourth += std::pow(x - m.mean, 4) / n;
  }
  m.mean_error = std::sqrt(m.variance / n);
  m.variance_error = std::sqrt((fourth - m.variance * m.variance) / n);
  return m;
}

// Pearson's statistic of counts against expected counts.
inline double chi_square(const std::vector<double>& counts, const std::vector<double>& expected) {
  double sum = 0;
  for (size_t i = 0; i != counts.size(); ++i) {
    sum += (counts[i] - expected[i]) * (counts[i] - expected[i]) / expected[i];
  }
  return sum;
}

// What chi-square of so many degrees of freedom exceeds with probability 1e-6 (Wilson and
// Hilferty's approximation).
inline double chi_square_limit(size_t freedom) {
  const double a = 2.0 / (9.0 * static_cast<double>(freedom));
  return static_cast<double>(freedom) * std::pow(1 - a + 4.753 * std::sqrt(a), 3);
}

}  // namespace umbel::testing_statistics
