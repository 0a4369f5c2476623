#include "umbel/aggregate/tally.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <tuple>
#include <utility>

#include "umbel/aggregate/weighted_mean.h"

namespace umbel::aggregate {

namespace {

constexpr size_t kFailureSamplesMax = 20;

Result<double> called(const std::function<double(const MetricRecord&)>& weight,
                      const MetricRecord& metrics) {
  try {
    return weight(metrics);
  } catch (const std::exception& error) {
    return invalid_argument("the strategy's weight function threw: {}", error.what());
  } catch (...) {
    return invalid_argument("the strategy's weight function threw what is not a std::exception");
  }
}

// The number under the weight key.
Result<double> looked_up(const MetricRecord& metrics, const std::string& key) {
  const MetricValue* value = metrics.find(key);
  if (!value) {
    return invalid_argument(
        "metric \"{}\" is missing: it weighs the reply in the mean; there are: {}", key,
        metrics.names());
  }
  if (const auto* integer = std::get_if<int64_t>(&value->base())) {
    return static_cast<double>(*integer);
  }
  if (const auto* real = std::get_if<double>(&value->base())) return *real;
  return invalid_argument("metric \"{}\" is a list, expected one number", key);
}

bool before(const Failure& a, const Failure& b) {
  return std::tie(a.node, a.error.code, a.error.reason) <
         std::tie(b.node, b.error.code, b.error.reason);
}

}  // namespace

uint64_t FoldResult::failure_count() const {
  uint64_t total = 0;
  for (const auto& [code, count] : failures) total += count;
  return total;
}

Result<double> reply_weight(const MetricRecord& metrics, const FoldOptions& options,
                            std::optional<double> given) {
  const bool by_function = given || options.weight;
  const std::string name =
      by_function ? "weight" : fmt::format("metric \"{}\"", options.weight_key);
  double weight = 0;
  if (given) {
    weight = *given;
  } else {
    UMBEL_ASSIGN_OR_RETURN(weight, options.weight ? called(options.weight, metrics)
                                                  : looked_up(metrics, options.weight_key));
  }
  if (weight == 0) return invalid_argument("{} is 0: the reply carries no examples", name);
  if (!(weight > 0) || !std::isfinite(weight)) {
    return invalid_argument("{} is {}, expected a positive finite number", name, weight);
  }
  weight = std::min(weight, options.weight_max);
  UMBEL_RETURN_IF_ERROR(annotate(check_weight(weight), name));
  UMBEL_RETURN_IF_ERROR(MetricMean::check(metrics, weight));
  return weight;
}

void Tally::count(const MetricRecord& metrics, double weight, uint64_t bytes) {
  metrics_.add(metrics, weight);
  weight_.add(weight);
  ++result_.replies;
  result_.reply_bytes += bytes;
}

void Tally::fail(NodeId node, MessageError error) {
  ++result_.failures[error.code];
  keep_sample({node, std::move(error)});
}

// The least ids are kept, so that the sample does not depend on the order of arrival.
void Tally::keep_sample(Failure failure) {
  std::vector<Failure>& samples = result_.failure_samples;
  const auto place = std::ranges::upper_bound(samples, failure, before);
  samples.insert(place, std::move(failure));
  if (samples.size() > kFailureSamplesMax) samples.pop_back();
}

void Tally::merge(Tally&& other) {
  metrics_.merge(other.metrics_);
  weight_.add(other.weight_);
  result_.replies += other.result_.replies;
  result_.reply_bytes += other.result_.reply_bytes;
  for (const auto& [code, count] : other.result_.failures) result_.failures[code] += count;
  for (Failure& failure : other.result_.failure_samples) keep_sample(std::move(failure));
}

FoldResult Tally::finish() {
  result_.weight = weight_.value();
  result_.metrics = metrics_.finish(metric_replies_min_);
  return std::move(result_);
}

}  // namespace umbel::aggregate
