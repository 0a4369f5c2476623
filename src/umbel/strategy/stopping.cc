#include "umbel/strategy/stopping.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "umbel/base/text.h"

namespace umbel {

namespace {

// The metric as one number; nothing if it is absent.
Result<std::optional<double>> number(const MetricRecord& metrics, const std::string& name) {
  const MetricValue* value = metrics.find(name);
  if (!value) return std::optional<double>();
  if (const auto* real = std::get_if<double>(&value->base())) return std::optional(*real);
  if (const auto* integer = std::get_if<int64_t>(&value->base())) {
    return std::optional(static_cast<double>(*integer));
  }
  return invalid_argument("stopping: metric \"{}\" is a list, expected one number", name);
}

bool reached(const Target& target, double value) {
  return target.compare == Compare::kAtLeast ? value >= target.value : value <= target.value;
}

bool improves(const Plateau& plateau, double value, std::optional<double> best) {
  if (std::isnan(value)) return false;
  if (!best) return true;
  const double gain = plateau.better == Better::kHigher ? value - *best : *best - value;
  return gain > plateau.min_delta;
}

Status require_metric(const std::string& metric, double value) {
  if (metric.empty()) return invalid_argument("stopping: a rule without a metric");
  if (std::isfinite(value)) return absl::OkStatus();
  return invalid_argument("stopping: metric \"{}\" against {}, expected a finite number", metric,
                          value);
}

std::vector<std::string> names(const MetricRecord& metrics) {
  std::vector<std::string> names;
  for (const auto& [name, value] : metrics) names.push_back(name);
  return names;
}

}  // namespace

Stopping::Stopping(StopRules rules) : rules_(std::move(rules)), best_(rules_.plateaus.size()) {
  for (const Target& target : rules_.targets) unseen_.push_back(target.metric);
  for (const Plateau& plateau : rules_.plateaus) unseen_.push_back(plateau.metric);
}

Status Stopping::restore(Memory memory) {
  if (memory.best.size() != rules_.plateaus.size()) {
    return invalid_argument("stopping: the memory of {} plateaus, the rules have {}",
                            memory.best.size(), rules_.plateaus.size());
  }
  const auto known = [this](const std::string& name) {
    return std::ranges::any_of(rules_.targets, [&](const auto& t) { return t.metric == name; }) ||
           std::ranges::any_of(rules_.plateaus, [&](const auto& p) { return p.metric == name; });
  };
  for (const std::string& name : memory.unseen) {
    if (!known(name)) return invalid_argument("stopping: no rule is about \"{}\"", escaped(name));
  }
  best_ = std::move(memory.best);
  unseen_ = std::move(memory.unseen);
  return absl::OkStatus();
}

Status Stopping::validate() const {
  if (rules_.rounds == 0) return invalid_argument("stopping: 0 rounds, expected at least 1");
  for (const Target& target : rules_.targets) {
    UMBEL_RETURN_IF_ERROR(require_metric(target.metric, target.value));
  }
  for (const Plateau& plateau : rules_.plateaus) {
    UMBEL_RETURN_IF_ERROR(require_metric(plateau.metric, plateau.min_delta));
    if (plateau.min_delta < 0 || plateau.patience == 0) {
      return invalid_argument(
          "stopping: plateau of \"{}\" with min_delta {} and patience {}, expected at least 0 and "
          "1",
          plateau.metric, plateau.min_delta, plateau.patience);
    }
  }
  return absl::OkStatus();
}

Result<std::optional<std::string>> Stopping::after_round(uint64_t round,
                                                         const MetricRecord& metrics,
                                                         bool evaluated) {
  for (const std::string& name : unseen_) {
    UMBEL_ASSIGN_OR_RETURN(const std::optional<double> value, number(metrics, name));
    if (!value && evaluated) {
      return not_found("stopping: no metric \"{}\" in round {}; there are: {}{}", name, round,
                       metrics.names(), did_you_mean(name, names(metrics)));
    }
  }
  // Nothing was changed so far; a metric may still be a list where it was a number before.
  std::vector<std::optional<double>> target_values;
  for (const Target& target : rules_.targets) {
    UMBEL_ASSIGN_OR_RETURN(const auto value, number(metrics, target.metric));
    target_values.push_back(value);
  }
  std::vector<std::optional<double>> plateau_values;
  for (const Plateau& plateau : rules_.plateaus) {
    UMBEL_ASSIGN_OR_RETURN(const auto value, number(metrics, plateau.metric));
    plateau_values.push_back(value);
  }

  std::erase_if(unseen_, [&](const std::string& name) { return metrics.contains(name); });
  std::optional<std::string> reason;
  for (size_t i = 0; i != target_values.size(); ++i) {
    const Target& target = rules_.targets[i];
    if (reason || !target_values[i] || !reached(target, *target_values[i])) continue;
    reason = fmt::format(
        "{} reached {} in round {}, the target was {} {}", target.metric, *target_values[i], round,
        target.compare == Compare::kAtLeast ? "at least" : "at most", target.value);
  }
  for (size_t i = 0; i != plateau_values.size(); ++i) {
    if (!plateau_values[i]) continue;
    const std::optional<std::string> flat = measure(i, round, *plateau_values[i]);
    if (!reason) reason = flat;
  }
  if (!reason && rules_.rounds && round >= *rules_.rounds) {
    reason = fmt::format("all {} rounds are done", *rules_.rounds);
  }
  return reason;
}

std::optional<std::string> Stopping::measure(size_t index, uint64_t round, double value) {
  const Plateau& plateau = rules_.plateaus[index];
  Best& best = best_[index];
  if (improves(plateau, value, best.value)) {
    best = {.value = value, .round = round, .stale = 0};
    return std::nullopt;
  }
  if (++best.stale < plateau.patience) return std::nullopt;
  if (!best.value) {
    return fmt::format("{} was not a number {} times in a row", plateau.metric, best.stale);
  }
  return fmt::format(
      "{} has not improved by more than {} in {} measurements; the best was {} in "
      "round {}",
      plateau.metric, plateau.min_delta, best.stale, *best.value, best.round);
}

}  // namespace umbel
