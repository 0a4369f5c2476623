#include "umbel/base/rng.h"

#include <algorithm>
#include <cmath>

#include "umbel/base/check.h"

namespace umbel {

namespace {

// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

uint64_t derive_seed(uint64_t seed, std::initializer_list<uint64_t> path) {
  uint64_t state = mix(seed);
  for (const uint64_t step : path) state = mix(state ^ mix(step + 0x632be59bd9b4e019));
  return state;
}

uint64_t derive_seed(uint64_t seed, std::string_view purpose) {
  uint64_t state = mix(seed ^ purpose.size());
  for (const char c : purpose) state = mix(state ^ static_cast<unsigned char>(c));
  return state;
}

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  auto [c0, c1, c2, c3] = counter;
  auto [k0, k1] = key;
  for (int round = 0; round != 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c0;
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(p0);
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {c0, c1, c2, c3};
}

void Rng::refill() {
  const auto low = static_cast<uint32_t>(counter_);
  const auto high = static_cast<uint32_t>(counter_ >> 32);
  const auto [c0, c1, c2, c3] = philox({low, high, 0, 0}, key_);
  ++counter_;
  block_ = {uint64_t{c0} | uint64_t{c1} << 32, uint64_t{c2} | uint64_t{c3} << 32};
  left_ = 2;
}

uint64_t Rng::bits() {
  if (left_ == 0) refill();
  return block_[2 - left_--];
}

uint64_t Rng::below(uint64_t bound) {
  UMBEL_DCHECK(bound > 0);
  // Lemire, "Fast random integer generation in an interval", ACM TOMACS 2019.
  using Wide = unsigned __int128;
  Wide product = Wide{bits()} * bound;
  if (auto low = static_cast<uint64_t>(product); low < bound) {
    const uint64_t threshold = -bound % bound;
    while (low < threshold) {
      product = Wide{bits()} * bound;
      low = static_cast<uint64_t>(product);
    }
  }
  return static_cast<uint64_t>(product >> 64);
}

double Rng::uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

double Rng::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(6.283185307179586 * uniform());
}

double Rng::gamma(double shape) {
  UMBEL_DCHECK(shape > 0);
  if (shape < 1) {
    const double boosted = gamma(shape + 1);
    return boosted * std::pow(1.0 - uniform(), 1 / shape);
  }
  const double d = shape - 1.0 / 3.0;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal();
    const double root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    const double u = 1.0 - uniform();
    if (u < 1 - 0.0331 * (x * x) * (x * x)) return d * v;  // the paper's squeeze: no logarithms
    if (std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

uint64_t Rng::geometric(double probability) {
  UMBEL_DCHECK(probability > 0 && probability <= 1);
  if (probability == 1) return 0;
  const double draws = std::floor(std::log1p(-uniform()) / std::log1p(-probability));
  return draws < 0x1p63 ? static_cast<uint64_t>(draws) : UINT64_MAX;
}

std::vector<double> Rng::dirichlet(double alpha, size_t categories) {
  std::vector<double> point(categories);
  dirichlet(alpha, std::span(point));
  return point;
}

void Rng::dirichlet(double alpha, std::span<double> point) {
  if (point.empty()) return;
  // Shares then differ from equal ones by less than 1e-7 of themselves; gamma() loses its
  // precision.
  constexpr double kAlphaMax = 1e14;
  double sum = 0;
  for (double& share : point) sum += share = alpha < kAlphaMax ? gamma(alpha) : 1;
  if (sum > 0) {
    for (double& share : point) share /= sum;
  } else {
    // A tiny alpha underflows every gamma: the limit distribution is one category alone.
    std::fill(point.begin(), point.end(), 0);
    point[below(point.size())] = 1;
  }
}

}  // namespace umbel
