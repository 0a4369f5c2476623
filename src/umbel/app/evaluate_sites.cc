#include "umbel/app/evaluate_sites.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "umbel/app/runtime.h"

namespace umbel {

namespace {

constexpr size_t kMessagesMax = 10'000;           // under way at once
constexpr double kWeightMax = uint64_t{1} << 53;  // so that no sum of weights is infinite
constexpr std::chrono::duration<double> kNothing{0};

std::optional<double> number(const MetricValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value.base())) {
    return static_cast<double>(*integer);
  }
  if (const auto* real = std::get_if<double>(&value.base())) return *real;
  return std::nullopt;
}

// Why a reply does not count; empty if it does.
std::string refusal(const MetricRecord& metrics, const std::string& weight) {
  if (const Status status = check_metric_count(metrics); !status.ok()) return message_of(status);
  for (const auto& [name, value] : metrics) {
    const std::optional<double> one = number(value);
    if (one && !std::isfinite(*one)) return fmt::format("its metric \"{}\" is {}", name, *one);
  }
  const MetricValue* found = metrics.find(weight);
  if (!found) {
    return fmt::format("its metrics have no \"{}\", by which sites count; there are: {}", weight,
                       metrics.names());
  }
  const std::optional<double> own = number(*found);
  if (own && 0 <= *own && *own <= kWeightMax) return "";
  return fmt::format("its \"{}\" is {}, expected a number from 0 to 2^53", weight,
                     own ? fmt::format("{}", *own) : "a list");
}

Status check(const SiteEvaluationOptions& options) {
  if (!(options.confidence > 0 && options.confidence < 1)) {
    return invalid_argument("the confidence is {}, expected above 0 and below 1, such as 0.95",
                            options.confidence);
  }
  if (options.deadline && !(options.deadline->count() > 0)) {
    return invalid_argument("the deadline is {} s, expected a positive number",
                            options.deadline->count());
  }
  return absl::OkStatus();
}

std::vector<uint64_t> asked(const Grid& grid, const SiteEvaluationOptions& options) {
  std::vector<uint64_t> nodes = options.nodes;
  if (nodes.empty()) {
    nodes.resize(grid.node_count());
    std::iota(nodes.begin(), nodes.end(), 0);
  }
  std::ranges::sort(nodes);
  const auto twice = std::ranges::adjacent_find(nodes);
  if (twice != nodes.end()) throw Error(invalid_argument("client {} is asked twice", *twice));
  return nodes;
}

void take(SiteEvaluation& evaluation, const Message& reply) {
  const NodeId node = reply.source();
  if (reply.has_error()) {
    evaluation.failures.push_back({node, reply.error()});
    return;
  }
  const auto* metrics = first_of<MetricRecord>(reply.content());
  std::string why = metrics ? refusal(*metrics, evaluation.weight) : "its reply has no metrics";
  if (why.empty()) {
    evaluation.sites.push_back({node, *metrics});
  } else {
    evaluation.failures.push_back(
        {node, {MessageError::Code::kBadReply, fmt::format("client {}: {}", node.value(), why)}});
  }
}

// What the sites say of one metric.
struct Sample {
  std::string name;
  std::vector<double> values, weights;
};

void estimate(SiteEvaluation& evaluation, double confidence) {
  std::vector<Sample> samples;  // in the order in which names come
  std::unordered_map<std::string, size_t> places;
  for (const SiteReply& site : evaluation.sites) {
    const double weight = site.metrics.real(evaluation.weight);
    for (const auto& [name, value] : site.metrics) {
      const std::optional<double> one = number(value);
      if (!one || name == evaluation.weight) continue;
      const auto [place, is_new] = places.try_emplace(name, samples.size());
      if (is_new) samples.push_back({name, {}, {}});
      samples[place->second].values.push_back(*one);
      samples[place->second].weights.push_back(weight);
    }
  }
  for (const Sample& sample : samples) {
    const SiteEstimate one = estimate_over_sites(sample.values, sample.weights, confidence);
    if (one.sites > 0) evaluation.estimates.emplace_back(sample.name, one);
  }
}

}  // namespace

SiteEstimate estimate_over_sites(std::span<const double> values, std::span<const double> weights,
                                 double confidence) {
  if (values.size() != weights.size()) {
    throw Error(invalid_argument("{} values and {} weights, expected as many", values.size(),
                                 weights.size()));
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw Error(invalid_argument("the confidence is {}, expected above 0 and below 1", confidence));
  }
  SiteEstimate result;
  const double scale = weights.empty() ? 0 : *std::ranges::max_element(weights);
  double total = 0, sum = 0;
  for (size_t i = 0; i != values.size(); ++i) {
    if (!std::isfinite(values[i]) || !std::isfinite(weights[i]) || weights[i] < 0) {
      throw Error(
          invalid_argument("a value of {} with a weight of {}: expected finite numbers, and "
                           "no negative weight",
                           values[i], weights[i]));
    }
    if (weights[i] == 0) continue;
    result.least = result.sites ? std::min(result.least, values[i]) : values[i];
    result.greatest = result.sites ? std::max(result.greatest, values[i]) : values[i];
    ++result.sites;
    total += weights[i] / scale;  // which no sum takes beyond the largest number
  }
  if (result.sites == 0) return result;
  for (size_t i = 0; i != values.size(); ++i) sum += weights[i] / scale / total * values[i];
  // Rounding must not take the mean of equal values out of their range.
  result.mean = std::clamp(sum, result.least, result.greatest);
  if (result.sites < 2) return result;
  double squares = 0;
  for (size_t i = 0; i != values.size(); ++i) {
    const double part = weights[i] / scale / total * (values[i] - result.mean);
    squares += part * part;
  }
  const auto count = static_cast<double>(result.sites);
  const double error = std::sqrt(count / (count - 1) * squares);
  const boost::math::students_t distribution(count - 1);
  const double half =
      error * boost::math::quantile(boost::math::complement(distribution, (1 - confidence) / 2));
  if (std::isfinite(half)) result.interval = {result.mean - half, result.mean + half};
  return result;
}

const SiteEstimate& SiteEvaluation::at(std::string_view metric) const {
  std::string names;
  for (const auto& [name, estimate] : estimates) {
    if (name == metric) return estimate;
    names += (names.empty() ? "" : ", ") + name;
  }
  throw Error(not_found("no metric \"{}\"; there are: {}", metric, names.empty() ? "none" : names));
}

MetricRecord SiteEvaluation::metrics() const {
  MetricRecord record;
  for (const auto& [name, estimate] : estimates) record.set(name, estimate.mean);
  const auto add = [&](const std::string& name, MetricValue value) {
    if (!record.contains(name)) record.set(name, std::move(value));
  };
  double total = 0;
  for (const SiteReply& site : sites) total += site.metrics.real(weight);
  add(weight, total);
  for (const auto& [name, estimate] : estimates) {
    const std::string low = name + "-low", high = name + "-high";
    if (!estimate.interval || record.contains(low) || record.contains(high)) continue;
    record.set(low, estimate.interval->first);
    record.set(high, estimate.interval->second);
  }
  add("sites", sites.size());
  add("failures", failures.size());
  return record;
}

SiteEvaluation evaluate_sites(Grid& grid, const ArrayRecord& model,
                              const SiteEvaluationOptions& options) {
  or_throw(check(options));
  const std::vector<uint64_t> nodes = asked(grid, options);
  if (nodes.size() < options.sites_min) {
    throw Error(invalid_argument("{} sites are asked, and at least {} are to reply", nodes.size(),
                                 options.sites_min));
  }
  const std::string type = options.action.empty() ? "evaluate" : "evaluate." + options.action;
  const auto content = make_content(model, options.config);
  const auto start = std::chrono::steady_clock::now();
  SiteEvaluation evaluation{.weight = options.weight};
  for (size_t first = 0; first < nodes.size(); first += kMessagesMax) {
    std::vector<Message> messages;
    for (size_t i = first; i != std::min(nodes.size(), first + kMessagesMax); ++i) {
      Message message = grid.make_message(type, NodeId(nodes[i]), {});
      messages.emplace_back(message.metadata(), content);  // one content for all
    }
    Deadline left = options.deadline;
    if (left) {
      const std::chrono::duration<double> gone = std::chrono::steady_clock::now() - start;
      left = std::max(*left - gone, kNothing);
    }
    for (const Message& reply : grid.send_and_receive(std::move(messages), left)) {
      take(evaluation, reply);
    }
  }
  if (evaluation.sites.size() < options.sites_min) {
    throw Error(failed_precondition("{} of {} sites evaluated the model, expected at least {}{}",
                                    evaluation.sites.size(), nodes.size(), options.sites_min,
                                    evaluation.failures.empty()
                                        ? ""
                                        : fmt::format("; the first that failed: {}",
                                                      evaluation.failures.front().error.reason)));
  }
  estimate(evaluation, options.confidence);
  return evaluation;
}

}  // namespace umbel
