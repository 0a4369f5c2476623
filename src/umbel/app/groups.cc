#include "umbel/app/groups.h"

#include <algorithm>
#include <numeric>

#include "umbel/aggregate/metric_mean.h"

namespace umbel {

namespace {

constexpr size_t kFailuresNamedMax = 20;

// Which of the groups, with so many clients each, may be told of.  If one is too small, so are
// those that it could be told from by subtraction.
std::vector<bool> told(const std::vector<uint64_t>& sizes, uint64_t size_min) {
  std::vector<size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t i) { return sizes[i]; });
  std::vector<bool> told(sizes.size(), true);
  uint64_t together = 0, hidden = 0;
  for (const size_t i : order) {
    if (sizes[i] == 0) continue;  // nobody's metrics are no secret
    const bool alone = hidden == 1 || (hidden != 0 && together < size_min);
    if (sizes[i] >= size_min && !alone) break;
    told[i] = false;
    together += sizes[i];
    ++hidden;
  }
  return told;
}

// Folds of disjoint clients as one: all but arrays.
aggregate::FoldResult merged(std::vector<aggregate::FoldResult> folds, const std::string& key) {
  aggregate::MetricMean metrics(key);
  aggregate::FoldResult all;
  for (aggregate::FoldResult& fold : folds) {
    if (fold.replies != 0) metrics.add(fold.metrics, fold.weight);
    all.replies += fold.replies;
    all.weight += fold.weight;
    all.reply_bytes += fold.reply_bytes;
    for (const auto& [code, count] : fold.failures) all.failures[code] += count;
    for (auto& failure : fold.failure_samples) all.failure_samples.push_back(std::move(failure));
  }
  std::ranges::sort(all.failure_samples, {}, [](const auto& failure) { return failure.node; });
  if (all.failure_samples.size() > kFailuresNamedMax) all.failure_samples.resize(kFailuresNamedMax);
  all.metrics = metrics.finish();
  return all;
}

}  // namespace

Status validate(const Groups& groups, const Traits* traits) {
  UMBEL_RETURN_IF_ERROR(annotate(find_attribute(traits, groups.attribute).status(), "groups"));
  if (groups.size_min >= 2) return absl::OkStatus();
  return invalid_argument("groups: size_min = {}, expected at least 2", groups.size_min);
}

aggregate::FoldResult evaluate_groups(Grid& grid, const Broadcast& broadcast,
                                      const AggregationPlan& plan, Deadline deadline,
                                      const Groups& groups) {
  or_throw(validate(groups, grid.traits()));
  or_throw(check_broadcast(broadcast, grid.node_count(), deadline));
  const size_t index = or_throw(find_attribute(grid.traits(), groups.attribute));
  const std::vector<std::string>& names = grid.traits()->attributes()[index].categories;
  std::vector<std::vector<uint64_t>> clients(names.size());
  for (const uint64_t client : broadcast.nodes) {
    clients[grid.traits()->category(client, index)].push_back(client);
  }
  std::vector<uint64_t> sizes;
  for (const auto& group : clients) sizes.push_back(group.size());
  const std::vector<bool> asked_alone = told(sizes, groups.size_min);

  // The groups, and then all of those that are too small.
  std::vector<std::vector<uint64_t>> asked(names.size() + 1);
  for (size_t i = 0; i != names.size(); ++i) {
    std::vector<uint64_t>& to = asked_alone[i] ? asked[i] : asked.back();
    to.insert(to.end(), clients[i].begin(), clients[i].end());
  }
  std::sort(asked.back().begin(), asked.back().end());

  if (grid.world()) grid.world()->begin_together();
  std::vector<aggregate::FoldResult> folds;
  for (std::vector<uint64_t>& group : asked) {
    Broadcast part = broadcast;
    part.nodes = std::move(group);
    // A metric that few of a group have is none of the group's, nor of the whole: the difference
    // would tell.
    FoldOptions options = plan.options;
    options.metric_replies_min = groups.size_min;
    folds.push_back(part.nodes.empty() ? aggregate::FoldResult()
                                       : grid.send_and_fold(part, {nullptr, options}, deadline));
  }
  if (grid.world()) grid.world()->end_together();

  // Some did not reply; those who were too few together count as one group here.
  std::vector<uint64_t> replies;
  for (const auto& fold : folds) replies.push_back(fold.replies);
  const std::vector<bool> shown = told(replies, groups.size_min);
  std::vector<std::pair<std::string, MetricValue>> by_group;
  for (size_t i = 0; i != names.size(); ++i) {
    if (!shown[i] || folds[i].replies == 0) continue;
    for (const auto& [name, value] : folds[i].metrics) {
      if (name != plan.options.weight_key) {
        by_group.emplace_back(fmt::format("{}@{}", name, names[i]), value);
      }
    }
  }
  aggregate::FoldResult all = merged(std::move(folds), plan.options.weight_key);
  for (auto& [name, value] : by_group) all.metrics.set(name, std::move(value));
  return all;
}

}  // namespace umbel
