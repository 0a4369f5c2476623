#include "umbel/aggregate/metric_mean.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <span>

namespace umbel::aggregate {

namespace {

constexpr size_t kNamesMax = 1000;
constexpr size_t kNumbersMax = 65536;
constexpr double kTermMax = 0x1p960;  // 2^64 of these are still a finite sum

struct Numbers {
  bool list;
  bool integers;
  std::vector<double> values;
  std::vector<double> rests = {};  // what values lack: integers beyond 2^53; empty if nothing
};

Numbers numbers_of_integers(bool list, std::span<const int64_t> x) {
  Numbers numbers{list, true, std::vector<double>(x.begin(), x.end())};
  for (size_t i = 0; i != x.size(); ++i) {
    const auto rest = static_cast<double>(x[i] - static_cast<__int128>(numbers.values[i]));
    if (rest == 0) continue;
    numbers.rests.resize(x.size());
    numbers.rests[i] = rest;
  }
  return numbers;
}

Numbers numbers_of(const MetricValue& value) {
  struct Visitor {
    Numbers operator()(int64_t x) const { return numbers_of_integers(false, {&x, 1}); }
    Numbers operator()(double x) const { return {false, false, {x}}; }
    Numbers operator()(const std::vector<int64_t>& x) const { return numbers_of_integers(true, x); }
    Numbers operator()(const std::vector<double>& x) const { return {true, false, x}; }
  };
  return std::visit(Visitor{}, value.base());
}

// The sum of integers as an integer, if its type can hold it.
std::optional<int64_t> integer_of(const kernel::ExactSum& sum) {
  const auto [high, low] = sum.pair();
  if (std::fabs(high) > 0x1p63) return std::nullopt;
  const __int128 exact = static_cast<__int128>(high) + static_cast<__int128>(low);
  if (exact < INT64_MIN || exact > INT64_MAX) return std::nullopt;
  return static_cast<int64_t>(exact);
}

}  // namespace

Status MetricMean::check(const MetricRecord& metrics, double weight) {
  if (metrics.size() > kNamesMax) {
    return invalid_argument("{} metrics in one reply, the limit is {}", metrics.size(), kNamesMax);
  }
  size_t total = 0;
  for (const auto& [name, value] : metrics) {
    const Numbers numbers = numbers_of(value);
    total += numbers.values.size();
    if (total > kNumbersMax) {
      return invalid_argument(
          "metric \"{}\" brings the numbers in one reply to {}, the limit is {}", name, total,
          kNumbersMax);
    }
    for (const double x : numbers.values) {
      if (!std::isfinite(x)) {
        return invalid_argument("metric \"{}\" is {}, expected a finite number", name, x);
      }
      if (std::fabs(x) * std::max(weight, 1.0) > kTermMax) {
        return invalid_argument("metric \"{}\" is {}, too large to average with weight {}", name, x,
                                weight);
      }
    }
  }
  return absl::OkStatus();
}

void MetricMean::add(const MetricRecord& metrics, double weight) {
  for (const auto& [name, value] : metrics) {
    const Numbers numbers = numbers_of(value);
    const auto [place, fresh] = columns_.try_emplace(name);
    Column& column = place->second;
    if (fresh) {
      column.list = numbers.list;
      column.sums.resize(numbers.values.size());
    }
    column.conflict |= column.list != numbers.list || column.sums.size() != numbers.values.size();
    if (column.conflict) continue;
    column.integers &= numbers.integers;
    const double factor = name == sum_key_ ? 1 : weight;
    for (size_t i = 0; i != numbers.values.size(); ++i) {
      column.sums[i].add_product(factor, numbers.values[i]);
      if (!numbers.rests.empty()) column.sums[i].add_product(factor, numbers.rests[i]);
    }
    column.weight.add(factor);
    ++column.replies;
  }
  limit_names();
}

void MetricMean::merge(const MetricMean& other) {
  for (const auto& [name, theirs] : other.columns_) {
    const auto [place, fresh] = columns_.try_emplace(name, theirs);
    if (fresh) continue;
    Column& ours = place->second;
    ours.conflict |=
        theirs.conflict || ours.list != theirs.list || ours.sums.size() != theirs.sums.size();
    if (ours.conflict) continue;
    ours.integers &= theirs.integers;
    for (size_t i = 0; i != ours.sums.size(); ++i) ours.sums[i].add(theirs.sums[i]);
    ours.weight.add(theirs.weight);
    ours.replies += theirs.replies;
  }
  limit_names();
}

// Always drops the greatest names: one that is dropped early would be dropped at the end as well.
void MetricMean::limit_names() {
  while (columns_.size() > kNamesMax) columns_.erase(std::prev(columns_.end()));
}

MetricRecord MetricMean::finish(uint64_t replies_min) const {
  MetricRecord metrics;
  for (const auto& [name, column] : columns_) {
    if (column.conflict || column.replies < replies_min) continue;
    const bool summed = name == sum_key_;
    std::vector<double> values;
    for (const kernel::ExactSum& sum : column.sums) {
      values.push_back(summed ? sum.value() : sum.value() / column.weight.value());
    }
    if (column.list) {
      metrics.set(name, std::move(values));
    } else if (const auto integer =
                   summed && column.integers ? integer_of(column.sums[0]) : std::nullopt) {
      metrics.set(name, *integer);
    } else {
      metrics.set(name, values[0]);
    }
  }
  return metrics;
}

}  // namespace umbel::aggregate
