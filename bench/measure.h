#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace umbel::bench {

// Seconds that one call takes.
double time_of(const std::function<void()>& body);

struct Spread {
  double median;
  double least;
  double most;
};
Spread spread_of(std::vector<double> values);

// Two things measured in turn, A B B A A B B A ..., so that a machine whose speed drifts treats
// both alike.
struct Pairs {
  Spread a;
  Spread b;
  Spread b_over_a;  // pair by pair
  size_t pairs;
};
// `a` and `b` return what they measured of themselves (seconds, say); one warm-up call of each.
Pairs in_turn(size_t pairs, const std::function<double()>& a, const std::function<double()>& b);

// One result, printed as a line of JSON.
struct Row {
  std::string id;
  std::string what;
  double ours;
  std::string unit;
  std::string peer;  // what ours is compared with; "" for a figure of its own
  double peer_value = 0;
  Spread ratio{};    // peer / ours: above 1 where ours is better, unless `unit` says otherwise
  double floor = 0;  // the same figure as the machine alone would allow; 0 if none is known
  size_t runs = 1;
  bool higher_is_better = false;
};
void print(const Row& row);

// Resident memory of this process, now and at its greatest, in bytes.
size_t resident_bytes();
size_t resident_bytes_most();

}  // namespace umbel::bench
