#include "umbel/app/evaluate_sites.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

namespace umbel {

namespace {

constexpr size_t kMessagesMax = 10'000;  // under way at once

std::optional<double> number(const MetricValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value.base())) {
    return static_cast<double>(*integer);
  }
  if (const auto* real = std::get_if<double>(&value.base())) return *real;
  return std::nullopt;
}

// Why a reply does not count; empty if it does.
std::string refusal(const MetricRecord& metrics, const std::string& weight) {
  for (const auto& [name, value] : metrics) {
    const std::optional<double> one = number(value);
    if (one && !std::isfinite(*one)) return fmt::format("its metric \"{}\" is {}", name, *one);
  }
  const MetricValue* found = metrics.find(weight);
  const std::optional<double> own = found ? number(*found) : std::nullopt;
  if (!own) {
    return fmt::format("its metrics have no number \"{}\", by which sites count; there are: {}",
                       weight, metrics.names());
  }
  return *own < 0 ? fmt::format("its \"{}\" is {}, below 0", weight, *own) : "";
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

void estimate(SiteEvaluation& evaluation, double confidence) {
  std::vector<std::string> names;
  for (const SiteReply& site : evaluation.sites) {
    for (const auto& [name, value] : site.metrics) {
      if (name != evaluation.weight && number(value) && !std::ranges::count(names, name)) {
        names.push_back(name);
      }
    }
  }
  for (const std::string& name : names) {
    std::vector<double> values, weights;
    for (const SiteReply& site : evaluation.sites) {
      const MetricValue* found = site.metrics.find(name);
      const std::optional<double> value = found ? number(*found) : std::nullopt;
      if (!value) continue;
      values.push_back(*value);
      weights.push_back(site.metrics.real(evaluation.weight));
    }
    evaluation.estimates.emplace_back(name, estimate_over_sites(values, weights, confidence));
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
    total += weights[i];
  }
  if (result.sites == 0) return result;
  for (size_t i = 0; i != values.size(); ++i) sum += weights[i] / total * values[i];
  // Rounding must not take the mean of equal values out of their range.
  result.mean = std::clamp(sum, result.least, result.greatest);
  if (result.sites < 2) return result;
  double squares = 0;
  for (size_t i = 0; i != values.size(); ++i) {
    const double part = weights[i] / total * (values[i] - result.mean);
    squares += part * part;
  }
  const auto count = static_cast<double>(result.sites);
  const double error = std::sqrt(count / (count - 1) * squares);
  const boost::math::students_t distribution(count - 1);
  const double half =
      error * boost::math::quantile(boost::math::complement(distribution, (1 - confidence) / 2));
  result.interval = {result.mean - half, result.mean + half};
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
  for (const auto& [name, estimate] : estimates) {
    if (estimate.sites == 0) continue;
    record.set(name, estimate.mean);
    if (!estimate.interval) continue;
    record.set(name + "-low", estimate.interval->first);
    record.set(name + "-high", estimate.interval->second);
  }
  double total = 0;
  for (const SiteReply& site : sites) total += site.metrics.real(weight);
  record.set(weight, total);
  record.set("sites", sites.size());
  record.set("failures", failures.size());
  return record;
}

SiteEvaluation evaluate_sites(Grid& grid, const ArrayRecord& model,
                              const SiteEvaluationOptions& options) {
  or_throw(check(options));
  const std::vector<uint64_t> nodes = asked(grid, options);
  const std::string type = options.action.empty() ? "evaluate" : "evaluate." + options.action;
  const auto content = make_content(model, options.config);
  SiteEvaluation evaluation{.weight = options.weight};
  for (size_t first = 0; first < nodes.size(); first += kMessagesMax) {
    std::vector<Message> messages;
    for (size_t i = first; i != std::min(nodes.size(), first + kMessagesMax); ++i) {
      Message message = grid.make_message(type, NodeId(nodes[i]), {});
      messages.emplace_back(message.metadata(), content);  // one content for all
    }
    for (const Message& reply : grid.send_and_receive(std::move(messages), options.deadline)) {
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
