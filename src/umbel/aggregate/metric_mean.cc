#include "umbel/aggregate/metric_mean.h"

#include <cmath>
#include <iterator>

namespace umbel::aggregate {

namespace {

constexpr size_t kNamesMax = 1000;
constexpr size_t kListMax = 65536;

struct Numbers {
  bool list;
  bool integers;
  std::vector<double> values;
};

Numbers numbers_of(const MetricValue& value) {
  struct Visitor {
    Numbers operator()(int64_t x) const { return {false, true, {static_cast<double>(x)}}; }
    Numbers operator()(double x) const { return {false, false, {x}}; }
    Numbers operator()(const std::vector<int64_t>& x) const {
      return {true, true, std::vector<double>(x.begin(), x.end())};
    }
    Numbers operator()(const std::vector<double>& x) const { return {true, false, x}; }
  };
  return std::visit(Visitor{}, value.base());
}

}  // namespace

Status MetricMean::check(const MetricRecord& metrics) {
  if (metrics.size() > kNamesMax) {
    return invalid_argument("{} metrics in one reply, the limit is {}", metrics.size(), kNamesMax);
  }
  for (const auto& [name, value] : metrics) {
    const Numbers numbers = numbers_of(value);
    if (numbers.values.size() > kListMax) {
      return invalid_argument("metric \"{}\" has {} numbers, the limit is {}", name,
                              numbers.values.size(), kListMax);
    }
    for (const double x : numbers.values) {
      if (!std::isfinite(x)) {
        return invalid_argument("metric \"{}\" is {}, expected a finite number", name, x);
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
    }
    column.weight.add(factor);
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
  }
  limit_names();
}

// Always drops the greatest names: one that is dropped early would be dropped at the end as well.
void MetricMean::limit_names() {
  while (columns_.size() > kNamesMax) columns_.erase(std::prev(columns_.end()));
}

MetricRecord MetricMean::finish() const {
  MetricRecord metrics;
  for (const auto& [name, column] : columns_) {
    if (column.conflict) continue;
    const bool summed = name == sum_key_;
    std::vector<double> values;
    for (const kernel::ExactSum& sum : column.sums) {
      values.push_back(summed ? sum.value() : sum.value() / column.weight.value());
    }
    if (column.list) {
      metrics.set(name, std::move(values));
    } else if (summed && column.integers) {
      metrics.set(name, static_cast<int64_t>(values[0]));
    } else {
      metrics.set(name, values[0]);
    }
  }
  return metrics;
}

}  // namespace umbel::aggregate
