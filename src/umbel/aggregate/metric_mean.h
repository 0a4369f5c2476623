#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "umbel/kernel/exact_sum.h"
#include "umbel/record/record.h"

namespace umbel::aggregate {

// Weighted means of metrics by name, as a partial aggregate; exact sums, rounded once, so the order
// of the replies cannot matter.  A metric that some replies lack is averaged over those that have
// it.  The metric named `sum_key` is summed, not averaged.  Lists are averaged element by element.
// A sum of integers is an integer up to 2^63, beyond that a real number.  A name under which
// replies have lists of unlike lengths is left out, and so are names past the first 1,000 in
// alphabetic order: both hold whatever the order of arrival.
class MetricMean {
 public:
  explicit MetricMean(std::string sum_key) : sum_key_(std::move(sum_key)) {}

  // INVALID_ARGUMENT for a value that is not finite or, times the weight, beyond 2^960; for over
  // 1,000 names, or over 65,536 numbers in all.
  static Status check(const MetricRecord& metrics, double weight);
  // Takes what passed check().
  void add(const MetricRecord& metrics, double weight);
  void merge(const MetricMean& other);
  // In the order of the names; without those that fewer than `replies_min` replies had.
  MetricRecord finish(uint64_t replies_min = 1) const;

 private:
  struct Column {
    bool list = false;
    bool integers = true;
    bool conflict = false;  // lists of unlike lengths were seen
    std::vector<kernel::ExactSum> sums;
    kernel::ExactSum weight;
    uint64_t replies = 0;
  };

  void limit_names();

  std::string sum_key_;
  std::map<std::string, Column, std::less<>> columns_;
};

}  // namespace umbel::aggregate
